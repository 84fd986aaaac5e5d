package sandbox

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// Gate is another vtgate in front of the sandbox's tablets, protected in its own way. It ends along with the process that started it.
type Gate struct {
	MySQLPort, GRPCPort int
	cmd                 *exec.Cmd
	log                 string
}

// StartGate starts one with further flags, which win over those of the
// sandbox's own vtgate, and returns when it listens. The caller stops it.
func (s *Sandbox) StartGate(ctx context.Context, dir string, flags ...string) (*Gate, error) {
	ports := maps.Clone(s.ports)
	for _, name := range []string{"vtgate-mysql", "vtgate-grpc", "vtgate-web"} {
		port, err := ports.another(ctx)
		if err != nil {
			return nil, err
		}
		// The sandbox's own stays in the map, so that the next one is another.
		ports["own-"+name], ports[name] = ports[name], port
	}
	other := *s
	other.ports = ports
	args, err := spell(slices.Concat(other.vtgate().args, flags))
	if err != nil {
		return nil, err
	}
	cmd, err := unprivileged(context.WithoutCancel(ctx), s.data(""), args...)
	if err != nil {
		return nil, err
	}
	g := &Gate{MySQLPort: ports["vtgate-mysql"], GRPCPort: ports["vtgate-grpc"], cmd: cmd, log: filepath.Join(dir, "vtgate.log")}
	log, err := os.Create(g.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting vtgate: %w", err)
	}
	if err := g.await(ctx); err != nil {
		g.Stop()
		return nil, err
	}
	return g, nil
}

func (g *Gate) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return poll(ctx, func() (bool, error) {
		// A child that has ended and was not waited for is a zombie.
		if _, ok := identify(g.cmd.Process.Pid); !ok {
			return false, fmt.Errorf("vtgate died; the end of its log:\n%s", tail(g.log))
		}
		for _, port := range []int{g.MySQLPort, g.GRPCPort} {
			if !listens(ctx, "127.0.0.1:"+strconv.Itoa(port)) {
				return false, nil
			}
		}
		return true, nil
	}, func() error { return fmt.Errorf("vtgate does not listen; the end of its log:\n%s", tail(g.log)) })
}

// Stop ends it.
func (g *Gate) Stop() {
	_ = g.cmd.Process.Kill()
	_ = g.cmd.Wait() // reports that it was killed
}
