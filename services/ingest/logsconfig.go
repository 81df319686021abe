package main

import (
	"errors"
	"net/url"
	"os"
	"time"

	"github.com/flowledger/flowledger/services/ingest/vpc"
	"github.com/flowledger/flowledger/services/ingest/zeek"
	"github.com/flowledger/flowledger/services/internal/conf"
)

// LogPlaces are where log files of one sort are found. Nothing is read where no
// place is named.
type LogPlaces struct {
	Dir      string        `yaml:"dir" doc:"folder of log files, with those below it; files are read as they come and grow; empty is none"`
	S3       s3Place       `yaml:"s3" doc:"bucket of log files, listed every interval"`
	SQS      sqsPlace      `yaml:"sqs" doc:"queue of S3's notifications of new log files; replicas may share it"`
	StateDir string        `yaml:"state_dir" doc:"folder that remembers what has been read; keep it, or all is read again"`
	Interval time.Duration `yaml:"interval" doc:"how long to wait between looks that found nothing"`
}

// s3Place is a bucket to list. Only one replica should list a prefix.
type s3Place struct {
	Bucket   string        `yaml:"bucket" doc:"name of the bucket; empty is none"`
	Prefix   string        `yaml:"prefix" doc:"only what is below it, as in AWSLogs/123456789012/"`
	Since    time.Duration `yaml:"since" doc:"at the first look, leave out files older than this; 0s takes all"`
	Region   string        `yaml:"region" doc:"region of the bucket or queue; empty is the environment's"`
	Endpoint string        `yaml:"endpoint" doc:"URL of another service that speaks S3; empty is AWS"`
}

// sqsPlace is a queue to listen to.
type sqsPlace struct {
	QueueURL   string        `yaml:"queue_url" doc:"URL of the queue; empty is none"`
	Invisible  time.Duration `yaml:"visibility_timeout" doc:"how long a notification is hidden from other replicas while its files are read"`
	Region     string        `yaml:"region" doc:"region of the queue and its buckets; empty is the environment's"`
	Endpoint   string        `yaml:"endpoint" doc:"URL of another service that speaks SQS; empty is AWS"`
	S3Endpoint string        `yaml:"s3_endpoint" doc:"URL of another service that speaks S3; empty is AWS"`
}

// vpcConfig is AWS VPC flow logs.
type vpcConfig struct {
	LogPlaces `yaml:",inline"`
	Logs      vpc.Config `yaml:"logs" doc:"how lines become flows"`
}

// zeekConfig is Zeek's dns.log.
type zeekConfig struct {
	LogPlaces `yaml:",inline"`
	Logs      zeek.Config `yaml:"logs" doc:"how lines become answers"`
}

func defaultPlaces() LogPlaces {
	return LogPlaces{
		StateDir: "/var/lib/flowledger/ingest", Interval: 30 * time.Second,
		S3: s3Place{Since: 24 * time.Hour}, SQS: sqsPlace{Invisible: 10 * time.Minute},
	}
}

func defaultVPC() vpcConfig { return vpcConfig{LogPlaces: defaultPlaces(), Logs: vpc.Default()} }

func defaultZeek() zeekConfig { return zeekConfig{LogPlaces: defaultPlaces(), Logs: zeek.Default()} }

// used tells whether any place is named.
func (p *LogPlaces) used() bool { return p.Dir != "" || p.S3.Bucket != "" || p.SQS.QueueURL != "" }

// Validate names every key that breaks a rule.
func (p *LogPlaces) Validate() error {
	var errs []error
	if p.Interval < time.Second || p.Interval > 24*time.Hour {
		errs = append(errs, conf.Invalid("interval", "from 1s to 24h", "change %s; 30s is the default", p.Interval))
	}
	if p.used() && p.StateDir == "" {
		errs = append(errs, conf.Invalid("state_dir", "what has been read must be remembered", "name a folder that outlives the process"))
	}
	if p.S3.Since < 0 {
		errs = append(errs, conf.Invalid("s3.since", "0s or more", "change %s; 24h is the default", p.S3.Since))
	}
	if p.SQS.Invisible < 30*time.Second || p.SQS.Invisible > 12*time.Hour {
		errs = append(errs, conf.Invalid("sqs.visibility_timeout", "from 30s to 12h", "change %s; 10m is the default", p.SQS.Invisible))
	}
	for key, text := range map[string]string{
		"s3.endpoint": p.S3.Endpoint, "sqs.endpoint": p.SQS.Endpoint, "sqs.s3_endpoint": p.SQS.S3Endpoint, "sqs.queue_url": p.SQS.QueueURL,
	} {
		if u, err := url.Parse(text); text != "" && (err != nil || u.Host == "") {
			errs = append(errs, conf.Invalid(key, "a URL", "write it as https://sqs.eu-west-1.amazonaws.com/123456789012/name, not %q", text))
		}
	}
	return errors.Join(errs...)
}

// stateDir makes the folder that remembers what has been read.
func (p *LogPlaces) stateDir() error { return os.MkdirAll(p.StateDir, 0o755) }
