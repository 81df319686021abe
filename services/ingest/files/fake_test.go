package files

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// cloud is an S3 bucket named logs and an SQS queue, served over HTTP.
type cloud struct {
	*httptest.Server
	mu       sync.Mutex
	objects  map[string]object
	messages []*message
	page     int
	// fetched counts GetObject calls by key; broken objects end too early.
	fetched map[string]int
	broken  map[string]bool
	lists   int
}

type object struct {
	body     []byte
	modified time.Time
}

type message struct {
	id       int
	body     string
	taken    bool
	received int
}

func newCloud(t *testing.T) *cloud {
	c := &cloud{objects: map[string]object{}, page: 2, fetched: map[string]int{}, broken: map[string]bool{}}
	c.Server = httptest.NewServer(c)
	t.Cleanup(c.Close)
	return c
}

func (c *cloud) put(key, body string, modified time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.objects[key] = object{[]byte(body), modified}
}

func (c *cloud) send(body string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.messages = append(c.messages, &message{id: len(c.messages), body: body})
}

// redeliver shows all messages again, as when their time has run out.
func (c *cloud) redeliver() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.messages {
		m.taken = false
	}
}

func (c *cloud) left() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.messages)
}

func (c *cloud) s3() *s3.Client {
	return s3.New(s3.Options{BaseEndpoint: aws.String(c.URL), UsePathStyle: true, DisableLogOutputChecksumValidationSkipped: true, Region: "eu-west-1",
		Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""), RetryMaxAttempts: 1})
}

func (c *cloud) sqs() *sqs.Client {
	return sqs.New(sqs.Options{BaseEndpoint: aws.String(c.URL), Region: "eu-west-1",
		Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""), RetryMaxAttempts: 1})
}

func (c *cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch target := r.Header.Get("X-Amz-Target"); {
	case target == "AmazonSQS.ReceiveMessage":
		c.receive(w)
	case target == "AmazonSQS.DeleteMessage":
		c.deleteMessage(w, r)
	case r.Method == http.MethodGet && r.URL.Query().Get("list-type") == "2":
		c.list(w, r)
	case r.Method == http.MethodGet:
		c.get(w, strings.TrimPrefix(r.URL.Path, "/logs/"))
	default:
		http.Error(w, "unknown "+target+r.Method+r.URL.String(), http.StatusBadRequest)
	}
}

func (c *cloud) get(w http.ResponseWriter, key string) {
	c.fetched[key]++
	o, ok := c.objects[key]
	if !ok {
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `<Error><Code>NoSuchKey</Code><Message>gone</Message></Error>`)
		return
	}
	w.Header().Set("ETag", etag(o.body))
	w.Header().Set("Content-Length", strconv.Itoa(len(o.body)))
	if c.broken[key] {
		w.Write(o.body[:len(o.body)/2])
		return // the server cuts the connection
	}
	w.Write(o.body)
}

func etag(b []byte) string {
	sum := md5.Sum(b)
	return `"` + hex.EncodeToString(sum[:]) + `"`
}

// listed is the answer to ListObjectsV2.
type listed struct {
	XMLName               xml.Name `xml:"ListBucketResult"`
	IsTruncated           bool
	NextContinuationToken string `xml:",omitempty"`
	Contents              []struct {
		Key, ETag    string
		LastModified string
		Size         int
	}
	CommonPrefixes []struct{ Prefix string }
}

func (c *cloud) list(w http.ResponseWriter, r *http.Request) {
	c.lists++
	q := r.URL.Query()
	prefix, delimiter, after := q.Get("prefix"), q.Get("delimiter"), max(q.Get("start-after"), q.Get("continuation-token"))
	var keys []string
	for k := range c.objects {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	var out listed
	n := 0
	last := ""
	for _, k := range keys {
		if !strings.HasPrefix(k, prefix) || k <= after {
			continue
		}
		entry := k
		if delimiter != "" {
			if head, _, ok := strings.Cut(k[len(prefix):], delimiter); ok {
				entry = prefix + head + delimiter
				if entry == last || strings.HasPrefix(after, entry) {
					continue
				}
			}
		}
		if n == c.page {
			out.IsTruncated, out.NextContinuationToken = true, last
			break
		}
		n, last = n+1, entry
		if entry != k {
			out.CommonPrefixes = append(out.CommonPrefixes, struct{ Prefix string }{entry})
			continue
		}
		o := c.objects[k]
		out.Contents = append(out.Contents, struct {
			Key, ETag    string
			LastModified string
			Size         int
		}{k, etag(o.body), o.modified.UTC().Format(time.RFC3339), len(o.body)})
	}
	w.Header().Set("Content-Type", "application/xml")
	_ = xml.NewEncoder(w).Encode(out)
}

func (c *cloud) receive(w http.ResponseWriter) {
	type wire struct{ MessageId, ReceiptHandle, Body, MD5OfBody string }
	var out struct{ Messages []wire }
	for _, m := range c.messages {
		if !m.taken && len(out.Messages) < 10 {
			m.taken = true
			m.received++
			sum := md5.Sum([]byte(m.body))
			out.Messages = append(out.Messages, wire{strconv.Itoa(m.id), strconv.Itoa(m.id), m.body, hex.EncodeToString(sum[:])})
		}
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	_ = json.NewEncoder(w).Encode(out)
}

func (c *cloud) deleteMessage(w http.ResponseWriter, r *http.Request) {
	var in struct{ ReceiptHandle string }
	b, _ := io.ReadAll(r.Body)
	_ = json.Unmarshal(b, &in)
	c.messages = slices.DeleteFunc(c.messages, func(m *message) bool { return strconv.Itoa(m.id) == in.ReceiptHandle })
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	fmt.Fprint(w, "{}")
}
