package e2e

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// sshd is OpenSSH's server as a jump server, with two users: "tunnel" may forward, "closed" may only log in. Both have the
// same key and password.
type sshd struct {
	port        int
	key         string // the users' private key
	fingerprint string // fingerprint of the host key
	pid         int
}

const (
	sshdProgram  = "/usr/sbin/sshd"
	sshdPassword = "tunnel-password"
	// sshdPasswordHash is crypt("tunnel-password", "$6$sandbox$").
	sshdPasswordHash = "$6$sandbox$FCehaecZVf.G2JGzWmVGhMUQyuag7DYpzKUUSgJwWWd4SNjvZYVjGCoafzGeVFgxx0.PSR0xDoQB7SUcllH95/"
)

// requireSSHD skips the test if no jump server can be run; in CI that is a failure.
func requireSSHD(t *testing.T) {
	t.Helper()
	var lacking string
	if _, err := os.Stat(sshdProgram); err != nil {
		lacking = sshdProgram + " is missing; install the package openssh-server"
	} else if os.Getuid() != 0 {
		lacking = "only root can give sshd users of its own"
	}
	switch {
	case lacking == "":
	case os.Getenv("CI") != "":
		t.Fatal(lacking)
	default:
		t.Skip(lacking)
	}
}

// startSSHD starts a jump server on a loopback port, which ends with the test. It has its own mount namespace, in which
// /etc/passwd, /etc/shadow and /etc/hosts are the test's; the machine's are not changed. hosts are names that only it resolves, to
// 127.0.0.1.
func startSSHD(t *testing.T, hosts ...string) *sshd {
	t.Helper()
	requireSSHD(t)
	dir, err := os.MkdirTemp("", "sshd") // not t.TempDir, which other users cannot access
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	hostKey, hostSigner := newSSHKey(t)
	userKey, userSigner := newSSHKey(t)
	s := &sshd{port: freePort(t), key: userKey, fingerprint: ssh.FingerprintSHA256(hostSigner.PublicKey())}
	in := func(name string) string { return filepath.Join(dir, name) }
	for name, text := range map[string]string{
		"host_key":        hostKey,
		"authorized_keys": string(ssh.MarshalAuthorizedKey(userSigner.PublicKey())),
		"passwd": "root:x:0:0::/:/bin/sh\nsshd:x:65002:65534::/run/sshd:/usr/sbin/nologin\n" +
			"tunnel:x:65003:65534::/nonexistent:/bin/sh\nclosed:x:65004:65534::/nonexistent:/bin/sh\n",
		"shadow": fmt.Sprintf("root:*:1::::::\nsshd:*:1::::::\ntunnel:%[1]s:1::::::\nclosed:%[1]s:1::::::\n", sshdPasswordHash),
		"hosts":  "127.0.0.1 localhost " + strings.Join(hosts, " ") + "\n",
		"config": fmt.Sprintf("ListenAddress 127.0.0.1\nPort %d\nHostKey %s\nAuthorizedKeysFile %s\nStrictModes no\nUsePAM no\nPidFile none\n"+
			"PasswordAuthentication yes\nMaxStartups 100\nMatch User closed\nAllowTcpForwarding no\n",
			s.port, in("host_key"), in("authorized_keys")),
	} {
		if err := os.WriteFile(in(name), []byte(text), map[bool]os.FileMode{true: 0o600, false: 0o644}[name == "host_key"]); err != nil {
			t.Fatal(err)
		}
	}
	s.start(t, dir)
	return s
}

func (s *sshd) start(t *testing.T, dir string) {
	t.Helper()
	script := `set -e
for file in passwd shadow hosts; do mount --bind "$0/$file" /etc/$file; done
mount -t tmpfs tmpfs /run && mkdir -m 755 /run/sshd
exec ` + sshdProgram + ` -D -e -f "$0/config"`
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "/bin/sh", "-c", script, dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting sshd in a mount namespace: %v", err)
	}
	s.pid = cmd.Process.Pid
	t.Cleanup(func() {
		s.killSessions(t)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("sshd: %s", text)
		}
	})
	await(t, 10*time.Second, func() error {
		conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)))
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = bufio.NewReader(conn).ReadString('\n') // its greeting
		return err
	})
}

// killSessions kills the processes of all connections, and returns how many there were; the server keeps running.
func (s *sshd) killSessions(t *testing.T) (killed int) {
	t.Helper()
	parents := map[int]int{}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range stats {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		// pid (name) state parent …
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		parents[pid], _ = strconv.Atoi(fields[1])
	}
	for pid := range parents {
		for p := parents[pid]; p > 1; p = parents[p] {
			if p == s.pid {
				if syscall.Kill(pid, syscall.SIGKILL) == nil {
					killed++
				}
				break
			}
		}
	}
	return killed
}

// byKey and byPassword are values of tunnel_method.
func (s *sshd) byKey() map[string]any {
	return s.by("SSH_KEY_AUTH", "ssh_key", s.key)
}

func (s *sshd) byPassword() map[string]any {
	return with(s.by("SSH_PASSWORD_AUTH", "tunnel_user_password", sshdPassword), "tunnel_host_key", s.fingerprint)
}

func (s *sshd) by(method, secret, value string) map[string]any {
	return map[string]any{
		"tunnel_method": method, "tunnel_host": "127.0.0.1", "tunnel_port": s.port, "tunnel_user": "tunnel", secret: value,
	}
}

func newSSHKey(t *testing.T) (string, ssh.Signer) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(block)), signer
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}
