package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// lookback is how much later than others of its folder a log file may come and
// still be found: AWS delivers within minutes, and promises nothing.
const lookback = 24 * time.Hour

// Bucket finds files in an S3 bucket by listing it. AWS sorts flow logs into
// folders by account and region, and below those by date. Each such folder is
// listed on from a cursor behind which everything has been read for a day; files
// in folders without dates are remembered one by one.
type Bucket struct {
	client         *s3.Client
	bucket, prefix string
	since          time.Duration
	cursorPath     string
	now            func() time.Time
	cursor         bucketCursor
}

// bucketCursor is what has been read.
type bucketCursor struct {
	// Start is when the bucket was first looked at.
	Start time.Time `json:"start"`
	// Folders are by prefix.
	Folders map[string]*folder `json:"folders"`
}

// folder is what has been read of the keys below a prefix.
type folder struct {
	// After is the key up to which everything has been read.
	After string `json:"after,omitempty"`
	// Read holds the keys behind it that have been read, and their tags.
	Read map[string]string `json:"read"`
}

// NewBucket makes a source of the objects below a prefix. What has been read is
// kept in the file cursor. Of what is there when it is first looked at, files
// older than since are left out; 0 takes all.
func NewBucket(client *s3.Client, bucket, prefix string, since time.Duration, cursor string) (*Bucket, error) {
	b := &Bucket{client: client, bucket: bucket, prefix: prefix, since: since, cursorPath: cursor, now: time.Now}
	if err := load(cursor, &b.cursor); err != nil {
		return nil, err
	}
	if b.cursor.Folders == nil {
		b.cursor = bucketCursor{Start: b.now().UTC(), Folders: map[string]*folder{}}
	}
	return b, nil
}

// Poll implements Source: the oldest objects first.
func (b *Bucket) Poll(ctx context.Context) ([]File, error) {
	var found []File
	if err := b.folder(ctx, b.prefix, 0, &found); err != nil {
		return nil, err
	}
	slices.SortFunc(found, oldestFirst)
	return found, nil
}

// maxDepth is how deep folders are looked into before dates are met.
const maxDepth = 10

// folder looks at what is below a prefix: at all of it where it is sorted by date,
// else at the files in it and at each folder in it.
func (b *Bucket) folder(ctx context.Context, prefix string, depth int, found *[]File) error {
	var objects []types.Object
	var below []string
	dated := false
	err := b.list(ctx, s3.ListObjectsV2Input{Prefix: &prefix, Delimiter: aws.String("/")}, func(page *s3.ListObjectsV2Output) {
		objects = append(objects, page.Contents...)
		for _, p := range page.CommonPrefixes {
			below = append(below, aws.ToString(p.Prefix))
			dated = dated || isYear(aws.ToString(p.Prefix))
		}
	})
	if err != nil {
		return err
	}
	if dated || depth == maxDepth {
		return b.datedFolder(ctx, prefix, found)
	}
	if len(objects) > 0 {
		at := b.at(prefix)
		there := map[string]bool{}
		for _, o := range objects {
			there[aws.ToString(o.Key)] = true
			b.take(at, o, prefix, found)
		}
		maps.DeleteFunc(at.Read, func(key, _ string) bool { return !there[key] })
	}
	for _, p := range below {
		if err := b.folder(ctx, p, depth+1, found); err != nil {
			return err
		}
	}
	return nil
}

// isYear tells folders of a year: …/2024/ and …/year=2024/.
func isYear(prefix string) bool {
	name := strings.TrimSuffix(prefix, "/")
	name = name[strings.LastIndexByte(name, '/')+1:]
	name = strings.TrimPrefix(name, "year=")
	if len(name) != 4 {
		return false
	}
	for _, c := range name {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// datedFolder lists a folder whose keys rise with time, from the cursor on, and
// moves the cursor behind what has been read long enough ago.
func (b *Bucket) datedFolder(ctx context.Context, prefix string, found *[]File) error {
	at := b.at(prefix)
	in := s3.ListObjectsV2Input{Prefix: &prefix}
	if at.After != "" {
		in.StartAfter = &at.After
	}
	moving := true
	return b.list(ctx, in, func(page *s3.ListObjectsV2Output) {
		for _, o := range page.Contents {
			fresh := b.take(at, o, prefix, found)
			moving = moving && !fresh && b.now().Sub(aws.ToTime(o.LastModified)) > lookback
			if moving {
				at.After = aws.ToString(o.Key)
				delete(at.Read, at.After)
			}
		}
	})
}

func (b *Bucket) at(prefix string) *folder {
	at := b.cursor.Folders[prefix]
	if at == nil {
		at = &folder{}
		b.cursor.Folders[prefix] = at
	}
	if at.Read == nil {
		at.Read = map[string]string{}
	}
	return at
}

// place is what Done needs to know of an object.
type place struct{ prefix, key, tag string }

// take adds an object to what is found, unless it has been read or is too old.
func (b *Bucket) take(at *folder, o types.Object, prefix string, found *[]File) (fresh bool) {
	p := place{prefix, aws.ToString(o.Key), aws.ToString(o.ETag)}
	if aws.ToInt64(o.Size) == 0 || strings.HasSuffix(p.key, "/") {
		return false
	}
	if tag, ok := at.Read[p.key]; ok && tag == p.tag {
		return false
	}
	modified := aws.ToTime(o.LastModified)
	if b.since > 0 && modified.Before(b.cursor.Start.Add(-b.since)) {
		return false
	}
	*found = append(*found, File{Name: "s3://" + b.bucket + "/" + p.key, Size: aws.ToInt64(o.Size), Modified: modified, whole: true, receipt: p})
	return true
}

// list goes through all pages.
func (b *Bucket) list(ctx context.Context, in s3.ListObjectsV2Input, page func(*s3.ListObjectsV2Output)) error {
	in.Bucket = &b.bucket
	pages := s3.NewListObjectsV2Paginator(b.client, &in)
	for pages.HasMorePages() {
		out, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("cannot list s3://%s/%s: %w", b.bucket, aws.ToString(in.Prefix), err)
		}
		page(out)
	}
	return nil
}

// Open implements Source.
func (b *Bucket) Open(ctx context.Context, f File) (Content, error) {
	return download(ctx, b.client, b.bucket, f.receipt.(place).key)
}

// Done implements Source.
func (b *Bucket) Done(_ context.Context, f File, _ int64) error {
	p := f.receipt.(place)
	b.at(p.prefix).Read[p.key] = p.tag
	return save(b.cursorPath, &b.cursor)
}

// download fetches an object into a file of our own, which goes when it is closed:
// whatever the network does, a file is read whole or not at all.
func download(ctx context.Context, client *s3.Client, bucket, key string) (Content, error) {
	out, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		if missing := (*types.NoSuchKey)(nil); errors.As(err, &missing) {
			err = errors.Join(fs.ErrNotExist, err)
		}
		return nil, fmt.Errorf("cannot fetch s3://%s/%s: %w", bucket, key, err)
	}
	defer out.Body.Close()
	tmp, err := os.CreateTemp("", "flowledger-log-*")
	if err != nil {
		return nil, fmt.Errorf("cannot fetch s3://%s/%s: %w", bucket, key, err)
	}
	c := local{File: tmp, remove: true}
	if _, err := io.Copy(tmp, out.Body); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot fetch s3://%s/%s: %w", bucket, key, err), c.Close())
	}
	if _, err := tmp.Seek(0, io.SeekStart); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}
