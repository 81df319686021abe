package main

import (
	"errors"

	"github.com/flowledger/flowledger/services/detect/rule"
	"github.com/flowledger/flowledger/services/internal/conf"
	"github.com/flowledger/flowledger/services/internal/run"
	"github.com/flowledger/flowledger/services/internal/stage"
)

// Config is the configuration of detect.
type Config struct {
	Detect      rule.Config  `yaml:"detect" doc:"the rules and their thresholds"`
	Epoch       int          `yaml:"epoch" doc:"number of this configuration: raise it with every change under detect, the same in all replicas"`
	Kafka       stage.Config `yaml:"kafka" doc:"the log"`
	run.Process `yaml:",inline"`
}

// Default is the configuration that works without a file.
func Default() Config {
	return Config{
		Detect:  rule.Default(),
		Kafka:   stage.Default(),
		Process: run.DefaultProcess(":8084"),
	}
}

// Validate names every key that breaks a rule.
func (c *Config) Validate() error {
	var epoch error
	if c.Epoch < 0 {
		epoch = conf.Invalid("epoch", "must not be negative", "change %d; it starts at 0 and rises", c.Epoch)
	}
	return errors.Join(conf.Under("detect", c.Detect.Validate()), epoch,
		conf.Under("kafka", c.Kafka.Validate()), c.Process.Validate())
}
