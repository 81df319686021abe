package realkafka

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed" // for the pom
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/flowledger/flowledger/services/internal/embedded/cache"
)

// Version is the release of Apache Kafka.
const Version = "4.1.0"

//go:embed pom.xml
var pom []byte

// copyJars is the Maven goal, with its plugin's version pinned like the jars'.
const copyJars = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"

// errMissing is a machine without the tools that this package needs.
var errMissing = errors.New("a real Kafka needs Java 17 or later and Maven: install openjdk-17-jre-headless and maven, or what they are called here")

// findJava is where java is.
func findJava() (java string, err error) {
	if java, err = exec.LookPath("java"); err != nil {
		return "", fmt.Errorf("%w (java is not on PATH)", errMissing)
	}
	return java, nil
}

// formatted is the folder beside the jars that holds a formatted, empty storage.
// Each new node gets a copy, which saves it the start of a Java program.
const formatted = "formatted"

// jars returns the folder of Kafka's jars in the cache, fetching them first
// where they are missing.
func jars(ctx context.Context, java, dir string, log io.Writer) (string, error) {
	root, err := cache.Dir(dir)
	if err != nil {
		return "", err
	}
	name := fmt.Sprintf("kafka-%s-%.4x", Version, sha256.Sum256(append(pom[:len(pom):len(pom)], clusterID...)))
	folder, err := cache.Ensure(ctx, root, name, log, func(ctx context.Context, tmp string) error {
		if err := fetch(ctx, tmp, log); err != nil {
			return err
		}
		return format(ctx, java, tmp)
	})
	if err != nil {
		return "", fmt.Errorf("cannot prepare Apache Kafka: %w", err)
	}
	return folder, nil
}

// fetch resolves the pom and copies all jars into dir. Maven holds each against
// the repository's checksum, and must not go on if one differs.
func fetch(ctx context.Context, dir string, log io.Writer) error {
	mvn, err := exec.LookPath("mvn")
	if err != nil {
		return fmt.Errorf("%w (mvn is not on PATH)", errMissing)
	}
	file := filepath.Join(dir, "pom.xml")
	if err := os.WriteFile(file, pom, 0o644); err != nil {
		return fmt.Errorf("cannot write the pom: %w", err)
	}
	start := time.Now()
	fmt.Fprintf(log, "fetching Apache Kafka %s once with Maven (45 MB) ...\n", Version)
	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, mvn, "-q", "-B", "--strict-checksums", "-f", file, copyJars,
		"-DoutputDirectory="+dir, "-DincludeScope=runtime")
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &output, &output
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("Maven could not fetch Kafka's jars: %w: %s", err, strings.TrimSpace(output.String()))
	}
	if _, err := os.Stat(filepath.Join(dir, "kafka_2.13-"+Version+".jar")); err != nil {
		return fmt.Errorf("Maven left no Kafka %s (do pom.xml and the version agree?): %w", Version, err)
	}
	fmt.Fprintf(log, "Apache Kafka is ready (%.1f s)\n", time.Since(start).Seconds())
	return nil
}

// clusterID is any 16 bytes in Kafka's base64. All nodes have the same: they are
// clusters of one and never meet.
const clusterID = "Zmxvd2xlZGdlci10ZXN0cw"

// format makes the storage that nodes are given copies of.
func format(ctx context.Context, java, folder string) error {
	data, file := filepath.Join(folder, formatted), filepath.Join(folder, "format.properties")
	if err := os.WriteFile(file, properties("127.0.0.1:1", "127.0.0.1:2", data, nil), 0o644); err != nil {
		return fmt.Errorf("cannot write Kafka's configuration: %w", err)
	}
	cmd := exec.CommandContext(ctx, java, append(jvm(folder), "kafka.tools.StorageTool", "format", "-t", clusterID, "-c", file)...)
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot format Kafka's storage: %w: %s", err, bytes.TrimSpace(output))
	}
	return nil
}
