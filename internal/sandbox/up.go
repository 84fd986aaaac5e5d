package sandbox

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
)

// Up makes the folder's sandbox run: it installs what the machine lacks (minutes, once per machine), sets the cluster up and starts
// whatever is not running. Called again it repairs, and returns at once if all is well. It reports slow work to progress. The caller ends
// the cluster with Down or Purge; it does not end with the caller or the context. Without an option, a setting is the default in a new
// sandbox, and unchanged in an existing one.
// usual in a new sandbox, and stays as it is in another.
func Up(ctx context.Context, dir string, topology Topology, progress io.Writer, options ...Option) (*Sandbox, error) {
	c, err := openCache(progress)
	if err != nil {
		return nil, err
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("making the sandbox's folder: %w", err)
	}
	release, err := lock(filepath.Join(dir, "lock"), func() { c.say("waiting for another command on %s …", dir) })
	if err != nil {
		return nil, err
	}
	defer release()
	s, r, err := open(dir)
	if notFound(err) {
		r, err = newRecord(topology).with(options)
	}
	if err != nil {
		return nil, err
	}
	if err := r.refuse(dir, topology, options); err != nil {
		return nil, err
	}
	if s != nil && r.Complete && s.allRunning() {
		return s, nil
	}
	if err := c.installAll(ctx, r); err != nil {
		return nil, err
	}
	return bringUp(ctx, c, dir, r)
}

func (c cache) installAll(ctx context.Context, r record) error {
	debian, err := c.installDebian(ctx)
	if err != nil {
		return err
	}
	vitess, err := c.installVitess(ctx, VitessVersion)
	if err != nil {
		return err
	}
	for _, version := range []string{r.vtgate(), r.vttablet()} {
		if _, err := c.installVitess(ctx, version); err != nil {
			return err
		}
	}
	if mysqldFolder(r.vttablet()) == disguiseRecipe {
		if err := c.installDisguise(ctx, debian); err != nil {
			return err
		}
	}
	_, err = c.installTemplate(ctx, debian, vitess)
	return err
}

func bringUp(ctx context.Context, c cache, dir string, r record) (*Sandbox, error) {
	began := time.Now()
	r.Cache = c.dir
	s := newSandbox(dir, r)
	if !s.anyRunning() && (r.Ports == nil || !r.Ports.free(ctx)) {
		chosen, release, err := choosePorts(ctx, c.dir, listeners(r.tablets()))
		if err != nil {
			return nil, err
		}
		defer release()
		r.Ports = chosen
	}
	s = newSandbox(dir, r)
	if err := s.writeFolder(r); err != nil {
		return nil, err
	}
	if err := s.startCluster(ctx); err != nil {
		return nil, err
	}
	r.Complete = true
	if err := r.save(dir); err != nil {
		return nil, err
	}
	c.say("the cluster in %s is up after %.1f s", dir, time.Since(began).Seconds())
	return s, nil
}

func newPassword() string {
	// Every connector has to escape these in its URLs and headers.
	return "p@ss:/+ %" + rand.Text()
}

func (s *Sandbox) allRunning() bool {
	for _, name := range s.Processes() {
		if _, ok := s.running(name); !ok {
			return false
		}
	}
	return true
}

func (s *Sandbox) anyRunning() bool {
	for _, name := range s.Processes() {
		if _, ok := s.running(name); ok {
			return true
		}
	}
	return false
}

// writeFolder makes all files but the data. What a first Up began and did not
// finish is written again.
func (s *Sandbox) writeFolder(r record) error {
	for _, sub := range []string{"run", "log", "bin"} {
		if err := os.MkdirAll(filepath.Join(s.Dir, sub), 0o755); err != nil {
			return err
		}
	}
	if err := mkdirOwned(s.data("")); err != nil {
		return err
	}
	if !exists(s.CA) || !exists(filepath.Join(s.Dir, "edge.key")) {
		if err := makeCertificates(s.Dir); err != nil {
			return fmt.Errorf("making the sandbox's certificates: %w", err)
		}
	}
	return errors.Join(r.save(s.Dir), s.writeConfigs())
}

// startCluster starts what is not running. Etcd, vtctld and the topology's
// records are made ready, and the edge is built, while the mysqlds start.
func (s *Sandbox) startCluster(ctx context.Context) error {
	groups := s.processes()
	first, vtctld, vttablets, last := groups[0], groups[1], groups[2], groups[3]
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.buildEdge(groupCtx) })
	group.Go(func() error { return s.startAll(groupCtx, first[1:]...) })
	group.Go(func() error {
		if err := s.startAll(groupCtx, first[0]); err != nil {
			return err
		}
		if err := s.startAll(groupCtx, vtctld...); err != nil {
			return err
		}
		return s.createKeyspaces(groupCtx)
	})
	if err := group.Wait(); err != nil {
		return err
	}
	if err := s.startAll(ctx, vttablets...); err != nil {
		return err
	}
	if err := s.electPrimaries(ctx); err != nil {
		return err
	}
	if err := s.startAll(ctx, last...); err != nil {
		return err
	}
	return s.awaitShards(ctx)
}

// startAll starts those processes that are not running, and returns when all
// of them listen.
func (s *Sandbox) startAll(ctx context.Context, processes ...process) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, p := range processes {
		group.Go(func() error {
			if _, ok := s.running(p.name); !ok {
				if err := s.launch(ctx, p); err != nil {
					return err
				}
			}
			return s.await(ctx, p)
		})
	}
	return group.Wait()
}
