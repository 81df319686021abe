package files

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// load reads a cursor file; one that is not there leaves it as it is.
func load(path string, cursor any) error {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot read what has been read already: %w", err)
	}
	if err := json.Unmarshal(b, cursor); err != nil {
		return fmt.Errorf("cannot read what has been read already: %s is damaged (%w); remove it to read all files again", path, err)
	}
	return nil
}

// save writes a cursor file, whole or not at all.
func save(path string, cursor any) error {
	b, err := json.Marshal(cursor)
	if err != nil {
		panic("BUG: cannot marshal a cursor: " + err.Error())
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // gone by then, if all went well
	_, err = tmp.Write(append(b, '\n'))
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}
