package dial

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
)

// jumpServer is an SSH server with port forwarding, for behaviour that a real one cannot be configured to have.
type jumpServer struct {
	listener net.Listener
	key      ssh.PublicKey
	ended    chan struct{} // receives a value for each SSH connection that ended

	mu     sync.Mutex // guards what the tests change
	asks   bool       // accepts the password by keyboard-interactive, and not by the method password
	refuse ssh.RejectionReason
	keys   []ssh.Signer // host keys
	logins int          // attempted with a password or key
}

// newJumpServer starts one that accepts the password "right" and this key; it ends with the test.
func newJumpServer(t *testing.T, key ssh.PublicKey) *jumpServer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &jumpServer{listener: listener, key: key, ended: make(chan struct{}, 100), keys: []ssh.Signer{newSigner(t)}}
	var wait sync.WaitGroup
	wait.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			wait.Go(func() { s.serve(conn); s.ended <- struct{}{} })
		}
	})
	t.Cleanup(func() { listener.Close(); wait.Wait() })
	return s
}

func (s *jumpServer) config() *ssh.ServerConfig {
	s.mu.Lock()
	defer s.mu.Unlock()
	no := errors.New("no")
	c := &ssh.ServerConfig{
		PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if s.key == nil || string(key.Marshal()) != string(s.key.Marshal()) {
				return nil, no
			}
			return nil, nil
		},
	}
	if s.asks {
		c.KeyboardInteractiveCallback = func(_ ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
			answers, err := ask("", "", []string{"Password: "}, []bool{false})
			if err != nil || answers[0] != "right" {
				return nil, no
			}
			return nil, nil
		}
	} else {
		c.PasswordCallback = func(_ ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
			if string(password) != "right" {
				return nil, no
			}
			return nil, nil
		}
	}
	c.AuthLogCallback = func(ssh.ConnMetadata, string, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.logins++
	}
	for _, key := range s.keys {
		c.AddHostKey(key)
	}
	return c
}

func (s *jumpServer) serve(raw net.Conn) {
	defer raw.Close()
	conn, channels, requests, err := ssh.NewServerConn(raw, s.config())
	if err != nil {
		return
	}
	defer conn.Close()
	go ssh.DiscardRequests(requests)
	for request := range channels {
		s.forward(request)
	}
}

func (s *jumpServer) forward(request ssh.NewChannel) {
	var to struct {
		Host     string
		Port     uint32
		From     string
		FromPort uint32
	}
	s.mu.Lock()
	refuse := s.refuse
	s.mu.Unlock()
	if refuse != 0 || ssh.Unmarshal(request.ExtraData(), &to) != nil {
		_ = request.Reject(refuse, "open failed")
		return
	}
	target, err := net.Dial("tcp", Config{Host: to.Host, MySQLPort: int(to.Port)}.MySQLAddr())
	if err != nil {
		_ = request.Reject(ssh.ConnectionFailed, "Connection refused")
		return
	}
	channel, requests, err := request.Accept()
	if err != nil {
		target.Close()
		return
	}
	go ssh.DiscardRequests(requests)
	go func() { _, _ = io.Copy(target, channel); target.Close() }()
	go func() { _, _ = io.Copy(channel, target); channel.Close() }()
}

// options log in with the password and pin the host key.
func (s *jumpServer) options() TunnelOptions {
	s.mu.Lock()
	defer s.mu.Unlock()
	return TunnelOptions{
		Method: SSHPassword, Host: "127.0.0.1", Port: s.listener.Addr().(*net.TCPAddr).Port, User: "u", Password: "right",
		HostKey: ssh.FingerprintSHA256(s.keys[0].PublicKey()),
	}
}

func newSigner(t *testing.T) ssh.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// newKey returns a private key in OpenSSH's format, protected by the passphrase if there is one, and its public key.
func newKey(t *testing.T, passphrase string) (string, ssh.PublicKey) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if passphrase != "" {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte(passphrase))
	}
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(block)), signer.PublicKey()
}
