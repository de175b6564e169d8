package project

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// A Built is what came of building a project.
type Built struct {
	*Project
	// Path is the artifact: PROJECT/target/PROJECT.weir.
	Path string
	// Size is the artifact's, in bytes.
	Size int
}

// Build loads the project in dir and writes its artifact, whole or not at all: an
// artifact that is there stays as it is if anything goes wrong. The error is
// [Faults] if the project is at fault. The same project gives the same bytes.
func Build(dir string) (*Built, error) {
	p, err := Load(dir)
	if err != nil {
		return nil, err
	}
	data, err := encodeArtifact(&p.Definition)
	if err != nil {
		return nil, fmt.Errorf("build %s: %w", p.Name, err)
	}
	target := filepath.Join(dir, targetDir)
	if err := os.MkdirAll(target, 0o755); err != nil {
		return nil, fmt.Errorf("build %s: %w", p.Name, err)
	}
	path := filepath.Join(target, p.Name+artifactSuffix)
	if err := writeFile(path, data); err != nil {
		return nil, fmt.Errorf("build %s: %w", p.Name, err)
	}
	return &Built{Project: p, Path: path, Size: len(data)}, nil
}

// writeFile puts data in the place of the file at path, or leaves that as it is:
// who reads it meanwhile has the old or the new one. The mode is that of the old
// file, if there is one. A link is followed, so that it stays a link.
func writeFile(path string, data []byte) (err error) {
	mode := fs.FileMode(0o644)
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close()           // the first error is the one to tell
			_ = os.Remove(f.Name()) // and a file that is left over harms nobody
		}
	}()
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := errors.Join(f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

// syncDir makes a rename in dir last through a loss of power.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
