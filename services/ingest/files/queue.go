package files

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// maxRecent is how many files are remembered, so that a notification that SQS
// delivers again (it promises once at least) does not have one read again.
const maxRecent = 8192

// Queue finds files by the notifications that S3 puts into an SQS queue, directly,
// by way of SNS, or of EventBridge. The queue remembers what has not been read: a
// notification is deleted once its files have. Several may share a queue.
type Queue struct {
	objects    *s3.Client
	messages   *sqs.Client
	url        string
	invisible  time.Duration
	wait       time.Duration
	cursorPath string
	cursor     queueCursor
}

// queueCursor is what has been read lately, oldest first.
type queueCursor struct {
	Recent []string `json:"recent"`
	known  map[string]bool
}

// NewQueue makes a source of the objects that a queue tells of. A notification
// whose file takes longer than invisible is shown to others again. What has been
// read lately is kept in the file cursor.
func NewQueue(objects *s3.Client, messages *sqs.Client, queueURL string, invisible time.Duration, cursor string) (*Queue, error) {
	q := &Queue{objects: objects, messages: messages, url: queueURL, invisible: invisible, wait: 20 * time.Second, cursorPath: cursor}
	if err := load(cursor, &q.cursor); err != nil {
		return nil, err
	}
	q.cursor.known = map[string]bool{}
	for _, name := range q.cursor.Recent {
		q.cursor.known[name] = true
	}
	return q, nil
}

// notice is a notification some of whose files have not been read.
type notice struct {
	handle *string
	left   int
}

// notified is an object that a notification tells of.
type notified struct {
	bucket, key, tag string
	notice           *notice
}

func (n notified) id() string { return n.bucket + "/" + n.key + "@" + n.tag }

// Poll implements Source. It waits up to 20 s for notifications.
func (q *Queue) Poll(ctx context.Context) ([]File, error) {
	out, err := q.messages.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: &q.url, MaxNumberOfMessages: 10,
		WaitTimeSeconds: int32(q.wait / time.Second), VisibilityTimeout: int32(q.invisible / time.Second),
	})
	if err != nil {
		return nil, fmt.Errorf("cannot receive from %s: %w", q.url, err)
	}
	var found []File
	var failed []error
	for i := range out.Messages {
		files, err := q.read(ctx, &out.Messages[i], found)
		found = append(found, files...)
		failed = append(failed, err)
	}
	return found, errors.Join(failed...)
}

// read takes a message apart. One that tells of nothing new is deleted; one that
// cannot be read is left to the queue's dead letters.
func (q *Queue) read(ctx context.Context, m *types.Message, before []File) ([]File, error) {
	objects, err := objectsOf([]byte(aws.ToString(m.Body)))
	if err != nil {
		return nil, fmt.Errorf("cannot read message %s of %s: %w", aws.ToString(m.MessageId), q.url, err)
	}
	n := &notice{handle: m.ReceiptHandle}
	var found []File
	for _, o := range objects {
		o.notice = n
		same := func(f File) bool { return f.receipt.(notified).id() == o.id() }
		if q.cursor.known[o.id()] || slices.ContainsFunc(found, same) || slices.ContainsFunc(before, same) {
			continue
		}
		n.left++
		found = append(found, File{Name: "s3://" + o.bucket + "/" + o.key, whole: true, receipt: o})
	}
	if n.left == 0 {
		return nil, q.delete(ctx, n)
	}
	return found, nil
}

func (q *Queue) delete(ctx context.Context, n *notice) error {
	if _, err := q.messages.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &q.url, ReceiptHandle: n.handle}); err != nil {
		return fmt.Errorf("cannot delete a message of %s: %w", q.url, err)
	}
	return nil
}

// Open implements Source.
func (q *Queue) Open(ctx context.Context, f File) (Content, error) {
	o := f.receipt.(notified)
	return download(ctx, q.objects, o.bucket, o.key)
}

// Done implements Source. The file is remembered before its message goes; if the
// message cannot be deleted, it comes again and is deleted then.
func (q *Queue) Done(ctx context.Context, f File, _ int64) error {
	o := f.receipt.(notified)
	c := &q.cursor
	if !c.known[o.id()] {
		c.known[o.id()] = true
		c.Recent = append(c.Recent, o.id())
	}
	if over := len(c.Recent) - maxRecent; over > 0 {
		for _, name := range c.Recent[:over] {
			delete(c.known, name)
		}
		c.Recent = slices.Delete(c.Recent, 0, over)
	}
	if err := save(q.cursorPath, c); err != nil {
		return err
	}
	if o.notice.left--; o.notice.left == 0 {
		_ = q.delete(ctx, o.notice) // comes again, is known, and is deleted then
	}
	return nil
}

// event is a notification in any of its wrappings.
type event struct {
	// SNS puts the notification into a text.
	Type, Message string
	// S3's own.
	Event   string
	Records []struct {
		EventName string `json:"eventName"`
		S3        struct {
			Bucket struct{ Name string }
			Object struct{ Key, ETag string }
		} `json:"s3"`
	}
	// EventBridge's.
	DetailType string `json:"detail-type"`
	Detail     struct {
		Bucket struct{ Name string }
		Object struct{ Key, ETag string }
	} `json:"detail"`
}

// objectsOf are the objects that a notification says were made.
func objectsOf(body []byte) ([]notified, error) {
	var e event
	if err := json.Unmarshal(body, &e); err != nil {
		return nil, err
	}
	if e.Type == "Notification" && e.Message != "" {
		inner := e.Message
		e = event{}
		if err := json.Unmarshal([]byte(inner), &e); err != nil {
			return nil, err
		}
	}
	var out []notified
	for _, r := range e.Records {
		if r.EventName != "" && !strings.Contains(r.EventName, "ObjectCreated:") {
			continue
		}
		key, err := url.QueryUnescape(r.S3.Object.Key)
		if err != nil {
			return nil, err
		}
		out = append(out, notified{bucket: r.S3.Bucket.Name, key: key, tag: r.S3.Object.ETag})
	}
	if e.Detail.Object.Key != "" && e.DetailType == "Object Created" {
		out = append(out, notified{bucket: e.Detail.Bucket.Name, key: e.Detail.Object.Key, tag: e.Detail.Object.ETag})
	}
	if len(out) == 0 && len(e.Records) == 0 && e.Event != "s3:TestEvent" && e.DetailType == "" {
		return nil, errors.New("it is no notification of S3")
	}
	for _, o := range out {
		if o.bucket == "" || o.key == "" {
			return nil, errors.New("it names no bucket or no object")
		}
	}
	return out, nil
}
