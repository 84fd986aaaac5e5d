package sandbox

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
)

// Ports come in blocks below the range from which Linux takes the ports of
// outgoing connections (32768 and up), so that the port of a process that was
// killed is still free when it starts again.
const (
	firstPort = 12000
	lastPort  = 32000
	blockSize = 100
)

// ports says which name listens where.
type ports map[string]int

func (p ports) addr(name string) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(p[name]))
}

func (p ports) free(ctx context.Context) bool {
	var listen net.ListenConfig
	for name := range p {
		l, err := listen.Listen(ctx, "tcp", p.addr(name))
		if err != nil {
			return false
		}
		if l.Close() != nil {
			return false
		}
	}
	return true
}

// choosePorts gives every name a port of one free block. Two at the same time
// never get the same block: the caller holds the claim until its processes
// listen, then calls release.
func choosePorts(ctx context.Context, cache string, names []string) (chosen ports, release func(), err error) {
	if len(names) > blockSize {
		return nil, nil, fmt.Errorf("the topology needs %d ports, a sandbox has at most %d", len(names), blockSize)
	}
	blocks := (lastPort - firstPort) / blockSize
	for _, block := range rand.Perm(blocks) {
		base := firstPort + block*blockSize
		release, err := tryLock(filepath.Join(cache, fmt.Sprintf("ports-%d.lock", base)))
		if errors.Is(err, syscall.EWOULDBLOCK) {
			continue
		} else if err != nil {
			return nil, nil, err
		}
		chosen := ports{}
		for i, name := range names {
			chosen[name] = base + i
		}
		if chosen.free(ctx) {
			return chosen, release, nil
		}
		release()
	}
	return nil, nil, fmt.Errorf("no block of %d free ports between %d and %d: stop some sandboxes", len(names), firstPort, lastPort)
}

// another returns a free port of the block.
func (p ports) another(ctx context.Context) (int, error) {
	used := slices.Sorted(maps.Values(p))
	for port := used[0]; port < used[0]+blockSize; port++ {
		if !slices.Contains(used, port) && (ports{"": port}).free(ctx) {
			return port, nil
		}
	}
	return 0, fmt.Errorf("no free port between %d and %d: a sandbox has at most %d", used[0], used[0]+blockSize, blockSize)
}
