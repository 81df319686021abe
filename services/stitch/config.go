package main

import (
	"errors"

	"github.com/flowledger/flowledger/services/internal/conf"
	"github.com/flowledger/flowledger/services/internal/run"
	"github.com/flowledger/flowledger/services/internal/stage"
	"github.com/flowledger/flowledger/services/stitch/biflow"
)

// Config is the configuration of stitch.
type Config struct {
	Stitch      biflow.Config `yaml:"stitch" doc:"how flows become conversations"`
	Epoch       int           `yaml:"epoch" doc:"number of this configuration: raise it with every change under stitch, the same in all replicas"`
	Kafka       stage.Config  `yaml:"kafka" doc:"the log"`
	run.Process `yaml:",inline"`
}

// Default is the configuration that works without a file.
func Default() Config {
	return Config{
		Stitch:  biflow.Default(),
		Kafka:   stage.Default(),
		Process: run.DefaultProcess(":8083"),
	}
}

// Validate names every key that breaks a rule.
func (c *Config) Validate() error {
	var epoch error
	if c.Epoch < 0 {
		epoch = conf.Invalid("epoch", "must not be negative", "change %d; it starts at 0 and rises", c.Epoch)
	}
	return errors.Join(conf.Under("stitch", c.Stitch.Validate()), epoch,
		conf.Under("kafka", c.Kafka.Validate()), c.Process.Validate())
}
