package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/cespare/xxhash/v2"

	"github.com/flowledger/flowledger/services/ingest/files"
)

// sources are the places that are named.
func (l *logs) sources(ctx context.Context, kind string, p *LogPlaces) (out []files.Source, err error) {
	if !p.used() {
		return nil, nil
	}
	if err := p.stateDir(); err != nil {
		return nil, fmt.Errorf("%s.state_dir: %w", kind, err)
	}
	add := func(s files.Source, err error) error {
		if err != nil {
			return fmt.Errorf("cannot read %s logs: %w", kind, err)
		}
		out = append(out, s)
		return nil
	}
	if p.Dir != "" {
		d, err := files.NewDirectory(p.Dir, p.cursor(kind, "dir", p.Dir))
		if err := add(d, err); err != nil {
			return nil, err
		}
	}
	if p.S3.Bucket != "" {
		c, err := s3Client(ctx, p.S3.Region, p.S3.Endpoint)
		if err != nil {
			return nil, err
		}
		b, err := files.NewBucket(c, p.S3.Bucket, p.S3.Prefix, p.S3.Since, p.cursor(kind, "s3", p.S3.Bucket+"/"+p.S3.Prefix))
		if err := add(b, err); err != nil {
			return nil, err
		}
	}
	if p.SQS.QueueURL != "" {
		q, err := p.queue(ctx, kind)
		if err := add(q, err); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (p *LogPlaces) queue(ctx context.Context, kind string) (*files.Queue, error) {
	objects, err := s3Client(ctx, p.SQS.Region, p.SQS.S3Endpoint)
	if err != nil {
		return nil, err
	}
	c, err := awsConfig(ctx, p.SQS.Region)
	if err != nil {
		return nil, err
	}
	messages := sqs.NewFromConfig(c, func(o *sqs.Options) { o.BaseEndpoint = optional(p.SQS.Endpoint) })
	return files.NewQueue(objects, messages, p.SQS.QueueURL, p.SQS.Invisible, p.cursor(kind, "sqs", p.SQS.QueueURL))
}

// cursor is the file that remembers what has been read of a place.
func (p *LogPlaces) cursor(kind, sort, place string) string {
	return filepath.Join(p.StateDir, kind+"-"+sort+"-"+strconv.FormatUint(xxhash.Sum64String(place), 16)+".json")
}

// awsConfig is what the environment says: credentials by variables, files, or the
// role of the machine.
func awsConfig(ctx context.Context, region string) (aws.Config, error) {
	var opts []func(*awsconfig.LoadOptions) error
	if region != "" {
		opts = append(opts, awsconfig.WithRegion(region))
	}
	c, err := awsconfig.LoadDefaultConfig(ctx, opts...)
	if err != nil {
		return c, fmt.Errorf("cannot set up the client of AWS: %w", err)
	}
	return c, nil
}

func s3Client(ctx context.Context, region, endpoint string) (*s3.Client, error) {
	c, err := awsConfig(ctx, region)
	if err != nil {
		return nil, err
	}
	return s3.NewFromConfig(c, func(o *s3.Options) {
		o.BaseEndpoint = optional(endpoint)
		o.DisableLogOutputChecksumValidationSkipped = true // a line per file, on standard error
		o.UsePathStyle = endpoint != ""                    // what is not AWS has no name per bucket
	}), nil
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
