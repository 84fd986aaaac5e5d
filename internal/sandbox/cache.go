package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// CacheVariable names the environment variable with the folder in which the
// sandboxes share what is built and downloaded (about 1 GB). Without it that
// is source-planetscale-sandbox in the user's cache folder.
const CacheVariable = "SANDBOX_CACHE"

// cache is that folder, and the writer to which slow work is reported.
type cache struct {
	dir      string
	progress io.Writer
}

func openCache(progress io.Writer) (cache, error) {
	dir := os.Getenv(CacheVariable)
	if dir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return cache{}, fmt.Errorf("no place for the sandbox's programs (set %s): %w", CacheVariable, err)
		}
		dir = filepath.Join(user, "source-planetscale-sandbox")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return cache{}, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return cache{}, fmt.Errorf("making the sandbox's cache (another place: %s): %w", CacheVariable, err)
	}
	return cache{dir: dir, progress: progress}, nil
}

func (c cache) path(names ...string) string {
	return filepath.Join(append([]string{c.dir}, names...)...)
}

func (c cache) say(format string, args ...any) {
	_, _ = fmt.Fprintf(c.progress, format+"\n", args...)
}

// install fills the folder of that name, once for all sandboxes: if several run at the same time, one does it and the others wait. The
// folder appears complete or not at all. What the fill writes to the file VERSIONS is reported.
func (c cache) install(name string, fill func(dir string) error) (string, error) {
	dir := c.path(name)
	if exists(dir) {
		return dir, nil
	}
	release, err := lock(dir+".lock", func() { c.say("waiting for another sandbox that installs %s …", name) })
	if err != nil {
		return "", err
	}
	defer release()
	if exists(dir) {
		return dir, nil
	}
	part := dir + ".part"
	if err := errors.Join(os.RemoveAll(part), os.Mkdir(part, 0o755)); err != nil {
		return "", err
	}
	if err := fill(part); err != nil {
		return "", errors.Join(fmt.Errorf("installing %s: %w", name, err), os.RemoveAll(part))
	}
	if err := os.Rename(part, dir); err != nil {
		return "", err
	}
	if versions, err := os.ReadFile(filepath.Join(dir, "VERSIONS")); err == nil {
		c.say("installed in %s:\n%s", dir, bytes.TrimSpace(versions))
	}
	return dir, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// step announces slow work, then every 15 seconds that it continues, and its end.
func (c cache) step(what, expected string, work func() error) error {
	c.say("%s, %s …", what, expected)
	began := time.Now()
	seconds := func() int { return int(time.Since(began).Seconds()) }
	done := make(chan error, 1)
	go func() { done <- work() }()
	ticker := time.NewTicker(15 * time.Second)
	defer ticker.Stop()
	for {
		select {
		case err := <-done:
			if err == nil {
				c.say("  done after %d s", seconds())
			}
			return err
		case <-ticker.C:
			c.say("  still %s, %d s", what, seconds())
		}
	}
}

// run runs a program and returns its output; the error contains what it printed.
func run(ctx context.Context, dir string, env []string, program string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	var stdout, stderr bytes.Buffer
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		said := bytes.TrimSpace(append(stderr.Bytes(), stdout.Bytes()...))
		said = said[max(0, len(said)-4096):]
		return nil, fmt.Errorf("%s: %w\n%s", strings.Join(append([]string{filepath.Base(program)}, args...), " "), err, said)
	}
	return stdout.Bytes(), nil
}
