package files

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// settled is how long a file must have been left alone before it is read to its
// very end. Plain files are read line by line before that.
const settled = 5 * time.Second

// Directory finds files in a folder and those below it. Hidden files are left
// alone: whoever writes a file under such a name and renames it is safe from being
// read half-way.
type Directory struct {
	root, cursorPath string
	now              func() time.Time
	cursor           directoryCursor
}

// directoryCursor is what has been read.
type directoryCursor struct {
	Files map[string]progress `json:"files"`
}

// progress is how far a file was read when it had this size and time.
type progress struct {
	Size     int64     `json:"size"`
	Modified time.Time `json:"modified"`
	Read     int64     `json:"read"`
}

// NewDirectory makes a source of the files below root. What has been read is
// kept in the file cursor.
func NewDirectory(root, cursor string) (*Directory, error) {
	st, err := os.Stat(root)
	if err != nil {
		return nil, fmt.Errorf("cannot look for log files: %w", err)
	}
	if !st.IsDir() {
		return nil, fmt.Errorf("cannot look for log files: %s is no folder", root)
	}
	d := &Directory{root: root, cursorPath: cursor, now: time.Now}
	if err := load(cursor, &d.cursor); err != nil {
		return nil, err
	}
	if d.cursor.Files == nil {
		d.cursor.Files = map[string]progress{}
	}
	return d, nil
}

// Poll implements Source: the oldest files first.
func (d *Directory) Poll(context.Context) ([]File, error) {
	var found []File
	there := map[string]bool{}
	var failed []error
	err := filepath.WalkDir(d.root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			failed = append(failed, err)
			return nil
		}
		if path != d.root && strings.HasPrefix(e.Name(), ".") {
			if e.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if e.IsDir() {
			return nil
		}
		st, err := os.Stat(path) // a link is its target
		if err != nil || !st.Mode().IsRegular() {
			return nil
		}
		there[path] = true
		if f, ok := d.fresh(path, st); ok {
			found = append(found, f)
		}
		return nil
	})
	if err = errors.Join(append(failed, err)...); err == nil {
		for path := range d.cursor.Files {
			if !there[path] {
				delete(d.cursor.Files, path) // written out with the next file
			}
		}
	}
	slices.SortFunc(found, oldestFirst)
	return found, err
}

// fresh tells whether there is something to read in a file. A plain file that
// has grown is read on from where it was; one that is shorter, or a compressed one
// of another size, is another file under the same name.
func (d *Directory) fresh(path string, st fs.FileInfo) (f File, ok bool) {
	f = File{Name: path, Size: st.Size(), Modified: st.ModTime()}
	f.whole = d.now().Sub(f.Modified) >= settled
	was, known := d.cursor.Files[path]
	touched := !known || was.Size != f.Size || !was.Modified.Equal(f.Modified)
	switch {
	case f.Size == 0, !touched && was.Read >= f.Size, !touched && !f.whole:
		return f, false
	case form(path) != Plain:
		return f, f.whole && (!known || was.Size != f.Size)
	}
	if known && was.Read <= f.Size {
		f.offset = was.Read
	}
	return f, f.offset < f.Size
}

// form looks at the beginning of a file.
func form(path string) Form {
	f, err := os.Open(path)
	if err != nil {
		return Plain
	}
	defer f.Close()
	var magic [4]byte
	n, _ := f.Read(magic[:])
	return FormOf(magic[:n])
}

// Open implements Source.
func (d *Directory) Open(_ context.Context, f File) (Content, error) {
	return openLocal(f.Name)
}

// Done implements Source.
func (d *Directory) Done(_ context.Context, f File, read int64) error {
	d.cursor.Files[f.Name] = progress{Size: f.Size, Modified: f.Modified, Read: read}
	return save(d.cursorPath, &d.cursor)
}

// local is a file on this machine.
type local struct {
	*os.File
	// remove tells that the file is ours, and is to go when it has been read.
	remove bool
}

func openLocal(path string) (Content, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return local{File: f}, nil
}

// Size implements Content.
func (l local) Size() (int64, error) {
	st, err := l.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

// Close implements Content.
func (l local) Close() error {
	err := l.File.Close()
	if l.remove {
		err = errors.Join(err, os.Remove(l.Name()))
	}
	return err
}
