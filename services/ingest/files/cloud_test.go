package files

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// now is the clock of the tests on a bucket.
var now = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func bucketOf(t *testing.T, c *cloud, cursor string, since time.Duration, at time.Time) *Bucket {
	t.Helper()
	b, err := NewBucket(c.s3(), "logs", "AWSLogs/", since, cursor)
	if err != nil {
		t.Fatal(err)
	}
	b.now = func() time.Time { return at }
	if b.cursor.Start.After(at) {
		b.cursor.Start = at
	}
	return b
}

const (
	west = "AWSLogs/111111111111/vpcflowlogs/eu-west-1/"
	east = "AWSLogs/222222222222/vpcflowlogs/us-east-1/"
)

// TestBucket: what comes is read once, whichever account's it is, in order of
// time, though files come out of the order of their names.
func TestBucket(t *testing.T) {
	c, cursor := newCloud(t), filepath.Join(t.TempDir(), "cursor")
	c.put(west+"2026/03/01/a_1200Z_1.log.gz", zipped("w1\n"), now.Add(-24*time.Hour-time.Minute))
	c.put(west+"2026/03/02/a_1150Z_2.log.gz", zipped("w2\n"), now.Add(-8*time.Minute))
	c.put(east+"2026/03/02/b_1150Z_1.log.gz", zipped("e1\n"), now.Add(-9*time.Minute))
	c.put("AWSLogs/notes.txt", "note\n", now.Add(-time.Hour))
	c.put("other/2026/03/02/x.log", "not ours\n", now)
	got, _ := round(t, bucketOf(t, c, cursor, 0, now))
	want(t, got, "> a_1200Z_1.log.gz", "w1", "> notes.txt", "note", "> b_1150Z_1.log.gz", "e1", "> a_1150Z_2.log.gz", "w2")

	// Another process goes on: one file is new, one late, one of another account.
	c.put(west+"2026/03/02/a_1200Z_3.log.gz", zipped("w3\n"), now.Add(time.Minute))
	c.put(west+"2026/03/02/a_1145Z_9.log.gz", zipped("late\n"), now.Add(2*time.Minute))
	c.put(east+"2026/03/02/b_1200Z_2.log.gz", zipped("e2\n"), now.Add(3*time.Minute))
	b := bucketOf(t, c, cursor, 0, now.Add(5*time.Minute))
	got, _ = round(t, b)
	want(t, got, "> a_1200Z_3.log.gz", "w3", "> a_1145Z_9.log.gz", "late", "> b_1200Z_2.log.gz", "e2")
	if at := b.cursor.Folders[west]; at.After != west+"2026/03/01/a_1200Z_1.log.gz" || len(at.Read) != 3 {
		t.Errorf("the cursor is at %q with %d behind it", at.After, len(at.Read))
	}

	// Two days later nothing is new, and little is remembered.
	b = bucketOf(t, c, cursor, 0, now.Add(48*time.Hour))
	got, _ = round(t, b)
	want(t, got)
	if at := b.cursor.Folders[west]; at.After != west+"2026/03/02/a_1200Z_3.log.gz" || len(at.Read) != 0 {
		t.Errorf("the cursor is at %q with %d behind it", at.After, len(at.Read))
	}
	for key, n := range c.fetched {
		if n != 1 {
			t.Errorf("%s was fetched %d times", key, n)
		}
	}
}

// TestBucketSince: at the first look, old files are left out for good.
func TestBucketSince(t *testing.T) {
	c, cursor := newCloud(t), filepath.Join(t.TempDir(), "cursor")
	for i := range 7 {
		c.put(fmt.Sprintf("%s2026/03/02/f%d", west, i), fmt.Sprintf("%d\n", i), now.Add(time.Duration(i-6)*time.Hour))
	}
	got, _ := round(t, bucketOf(t, c, cursor, 90*time.Minute, now))
	want(t, got, "> f5", "5", "> f6", "6")
	got, _ = round(t, bucketOf(t, c, cursor, 90*time.Minute, now.Add(time.Hour)))
	want(t, got)
}

// TestBucketBrokenDownload: a file that the network cuts is read later, whole.
func TestBucketBrokenDownload(t *testing.T) {
	c, cursor := newCloud(t), filepath.Join(t.TempDir(), "cursor")
	key := west + "2026/03/02/a.log"
	c.put(key, strings.Repeat("line\n", 3), now)
	c.broken[key] = true
	b := bucketOf(t, c, cursor, 0, now)
	got, failed := round(t, b)
	want(t, got)
	want(t, failed, "open")
	c.broken[key] = false
	got, _ = round(t, b)
	want(t, got, "> a.log", "line", "line", "line")
}

func TestHivePartitions(t *testing.T) {
	c := newCloud(t)
	key := "AWSLogs/aws-account-id=1/aws-service=vpcflowlogs/aws-region=eu-west-1/year=2026/month=03/day=02/a.log"
	c.put(key, "x\n", now)
	b := bucketOf(t, c, filepath.Join(t.TempDir(), "cursor"), 0, now)
	got, _ := round(t, b)
	want(t, got, "> a.log", "x")
	if b.cursor.Folders["AWSLogs/aws-account-id=1/aws-service=vpcflowlogs/aws-region=eu-west-1/"] == nil {
		t.Errorf("folders: %v", b.cursor.Folders)
	}
}

func queueOf(t *testing.T, c *cloud, cursor string) *Queue {
	t.Helper()
	q, err := NewQueue(c.s3(), c.sqs(), c.URL+"/1/flowlogs", time.Minute, cursor)
	if err != nil {
		t.Fatal(err)
	}
	q.wait = 0
	return q
}

// made is S3's notification of objects.
func made(keys ...string) string {
	var records []string
	for _, k := range keys {
		records = append(records, fmt.Sprintf(`{"eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"logs"},"object":{"key":%q,"eTag":"t"}}}`, k))
	}
	return `{"Records":[` + strings.Join(records, ",") + `]}`
}

// TestQueue: the files of notifications are read once, in whatever wrapping they
// come and however often; then the notifications are gone.
func TestQueue(t *testing.T) {
	c, cursor := newCloud(t), filepath.Join(t.TempDir(), "cursor")
	for _, k := range []string{"a b.log", "b.log", "c.log", "d.log"} {
		c.put(k, k+"\n", now)
	}
	c.send(made("a+b.log", "b.log"))
	c.send(fmt.Sprintf(`{"Type":"Notification","Message":%q}`, made("c.log")))
	c.send(`{"detail-type":"Object Created","detail":{"bucket":{"name":"logs"},"object":{"key":"d.log","etag":"t"}}}`)
	c.send(made("b.log"))
	c.send(`{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"logs"}`)
	got, failed := round(t, queueOf(t, c, cursor))
	want(t, got, "> a b.log", "a b.log", "> b.log", "b.log", "> c.log", "c.log", "> d.log", "d.log")
	want(t, failed)
	if n := c.left(); n != 0 {
		t.Errorf("%d messages are left", n)
	}
	c.send(made("b.log")) // delivered again, to another process
	got, _ = round(t, queueOf(t, c, cursor))
	want(t, got)
	if n := c.left(); n != 0 {
		t.Errorf("%d messages are left", n)
	}
}

// TestQueueKeepsWhatCannotBeRead: a notification stays until its files have been
// read; one of a file that is gone goes too.
func TestQueueKeepsWhatCannotBeRead(t *testing.T) {
	c, cursor := newCloud(t), filepath.Join(t.TempDir(), "cursor")
	c.put("a.log", "aa\n", now)
	c.broken["a.log"] = true
	c.send(made("a.log", "gone.log"))
	got, failed := round(t, queueOf(t, c, cursor))
	want(t, got)
	want(t, failed, "open", "gone")
	if n := c.left(); n != 1 {
		t.Fatalf("%d messages are left, want 1", n)
	}
	c.broken["a.log"] = false
	c.redeliver()
	got, _ = round(t, queueOf(t, c, cursor))
	want(t, got, "> a.log", "aa")
	if n := c.left(); n != 0 {
		t.Errorf("%d messages are left", n)
	}
}

// TestQueueUnreadable: what is no notification is told of and left to the queue.
func TestQueueUnreadable(t *testing.T) {
	c := newCloud(t)
	c.put("a.log", "a\n", now)
	c.send("hello")
	c.send(`{"something":"else"}`)
	c.send(made("a.log"))
	q := queueOf(t, c, filepath.Join(t.TempDir(), "cursor"))
	found, err := q.Poll(t.Context())
	if err == nil || len(found) != 1 || c.left() != 3 {
		t.Errorf("got %v, %v, %d left", found, err, c.left())
	}
}

func FuzzNotification(f *testing.F) {
	f.Add([]byte(made("a", "b")))
	f.Add([]byte(`{"Type":"Notification","Message":"{}"}`))
	f.Add([]byte(`{"detail-type":"Object Created","detail":{"bucket":{"name":"logs"},"object":{"key":"d"}}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		out, err := objectsOf(body)
		for _, o := range out {
			if err == nil && (o.bucket == "" || o.key == "") {
				t.Errorf("%q: %v", body, o)
			}
		}
	})
}
