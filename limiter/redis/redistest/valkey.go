//go:build unix

package redistest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// valkey returns where a Valkey server is: in the path, or in the cache, to which
// it is fetched where Debian's package manager can. Nothing is installed. Where there is none, it skips the test.
func valkey(t testing.TB) string {
	t.Helper()
	if path, err := exec.LookPath("valkey-server"); err == nil {
		return path
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	dir := filepath.Join(cache, "weir-test", "valkey")
	program := filepath.Join(dir, "usr", "bin", "valkey-server")
	if _, err := os.Stat(program); err == nil {
		return program
	}
	if err := fetchValkey(t.Context(), dir); err != nil {
		t.Skipf("NOT TESTED: there is no valkey-server here, and none can be fetched: %v", err)
	}
	return program
}

// fetchValkey unpacks Debian's backport of Valkey into dir.
func fetchValkey(ctx context.Context, dir string) error {
	release, _ := os.ReadFile("/etc/os-release") // missing: it is not Debian
	if !strings.Contains(string(release), "VERSION_CODENAME=bookworm") {
		return errors.New("this is not Debian bookworm")
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	work, err := os.MkdirTemp("", "valkey")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	const script = `set -e
mkdir -p lists/partial cache/archives/partial new
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm-backports main" > sources.list
set -- -qq -o Dir::Etc::sourcelist=$PWD/sources.list -o Dir::Etc::sourceparts=/dev/null -o Dir::State::lists=$PWD/lists -o Dir::Cache=$PWD/cache -o APT::Sandbox::User=
apt-get "$@" -o Acquire::Retries=0 -o Acquire::http::Timeout=10 update
apt-get "$@" -t bookworm-backports download valkey-server valkey-tools
for package in *.deb; do dpkg -x "$package" new; done
test -x new/usr/bin/valkey-server`
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", script)
	cmd.Dir = work
	cmd.WaitDelay = time.Second
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("apt-get download valkey-server: %w: %.300s", err, text)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return err
	}
	// Others may do the same: whoever is first has done it for all.
	staged, err := os.MkdirTemp(filepath.Dir(dir), "new")
	if err != nil {
		return err
	}
	defer os.RemoveAll(staged)
	if text, err := exec.CommandContext(ctx, "cp", "-a", filepath.Join(work, "new", "usr"), staged).CombinedOutput(); err != nil {
		return fmt.Errorf("cp: %w: %.300s", err, text)
	}
	if err := os.Rename(staged, dir); err != nil && !errors.Is(err, os.ErrExist) {
		if _, found := os.Stat(filepath.Join(dir, "usr", "bin", "valkey-server")); found != nil {
			return err
		}
	}
	return nil
}
