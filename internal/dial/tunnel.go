package dial

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"source-planetscale/internal/failure"
)

// TunnelMethod says how to log in to the jump server. Its values are those of the option tunnel_method.tunnel_method, which are Airbyte's
// own.
type TunnelMethod string

// The methods. The zero TunnelMethod means NoTunnel.
const (
	NoTunnel    TunnelMethod = "NO_TUNNEL"
	SSHKey      TunnelMethod = "SSH_KEY_AUTH"
	SSHPassword TunnelMethod = "SSH_PASSWORD_AUTH"
)

// tunnelTimeout limits everything before a connection through the tunnel: TCP, the login at the jump server, and its own connect. It is
// shorter than the time that a login at the database may take.
const tunnelTimeout = 15 * time.Second

// defaultSSHPort is the jump server's port if none is configured.
const defaultSSHPort = 22

// TunnelOptions holds the options under "tunnel_method", as Airbyte's database sources have them. The host key and the passphrase are
// additions of ours.
type TunnelOptions struct {
	Method   TunnelMethod `json:"tunnel_method"`
	Host     string       `json:"tunnel_host"`
	Port     int          `json:"tunnel_port"`
	User     string       `json:"tunnel_user"`
	Password string       `json:"tunnel_user_password"`
	// Key is a private key as PEM or in OpenSSH's form.
	Key           string `json:"ssh_key"`
	KeyPassphrase string `json:"ssh_key_passphrase"`
	// HostKey is one or more fingerprints (SHA256:…, separated by commas or spaces) of keys by which the jump server may identify itself.
	// If empty, the first key seen is trusted until the process ends; a password is not sent to it.
	HostKey string `json:"tunnel_host_key"`
}

// Tunnel reaches addresses through a jump server. Each connection has an SSH connection of its own, so that nothing is shared whose
// failure would affect all of them, and a new connection is a new tunnel.
type Tunnel struct {
	addr   string
	host   string
	config ssh.ClientConfig
	pinned []string // fingerprints
	// mustPin is set if someone who intercepts the connection would get a password.
	mustPin bool
	warn    func(string) // reports a sentence to a person
	reached atomic.Bool  // the jump server was, once

	mu    sync.Mutex
	first string   // the fingerprint that was trusted on first use
	found []string // the algorithms by which the pinned key was found
}

// NewTunnel prepares the tunnel that the options describe, nil for none. It does not connect yet. The errors name the option and never
// contain a key or password. warn is called, once, with a host key that nothing confirms.
func NewTunnel(o TunnelOptions, warn func(string)) (*Tunnel, error) {
	if o.Method == NoTunnel || o.Method == "" {
		return nil, nil
	}
	login, err := o.login()
	if err != nil {
		return nil, err
	}
	pinned, err := o.fingerprints()
	if err != nil {
		return nil, err
	}
	if o.Port == 0 {
		o.Port = defaultSSHPort
	}
	host := strings.Trim(o.Host, "[]")
	secure := ssh.SupportedAlgorithms() // those that are not known to be weak
	return &Tunnel{
		addr: net.JoinHostPort(host, strconv.Itoa(o.Port)), host: host,
		config: ssh.ClientConfig{
			Config: ssh.Config{KeyExchanges: secure.KeyExchanges, Ciphers: secure.Ciphers, MACs: secure.MACs},
			User:   o.User, Auth: login, ClientVersion: "SSH-2.0-airbyte-source-planetscale",
		},
		pinned: pinned, mustPin: o.Method == SSHPassword, warn: warn,
	}, nil
}

func (o TunnelOptions) login() ([]ssh.AuthMethod, error) {
	switch o.Method {
	case SSHPassword:
		// Servers that log in through PAM often use keyboard-interactive instead of a password.
		answer := func(_, _ string, questions []string, _ []bool) ([]string, error) {
			return slices.Repeat([]string{o.Password}, len(questions)), nil
		}
		return []ssh.AuthMethod{ssh.Password(o.Password), ssh.KeyboardInteractive(answer)}, nil
	case SSHKey:
		signer, err := o.signer()
		if err != nil {
			return nil, err
		}
		return []ssh.AuthMethod{ssh.PublicKeys(signer)}, nil
	}
	return nil, fmt.Errorf(failure.Option("SSH tunnel method", "tunnel_method")+" must be %q, %q or %q", NoTunnel, SSHKey, SSHPassword)
}

func (o TunnelOptions) signer() (ssh.Signer, error) {
	// Some ways into Airbyte's configuration write line breaks as the two characters \n; no key contains a backslash.
	key := []byte(strings.TrimSpace(strings.ReplaceAll(o.Key, `\n`, "\n")) + "\n")
	signer, err := ssh.ParsePrivateKey(key)
	if errors.As(err, new(*ssh.PassphraseMissingError)) {
		if o.KeyPassphrase == "" {
			return nil, errors.New(failure.Option("Private key", "ssh_key") + " is protected by a passphrase; enter it as " + failure.Option("Passphrase of the private key", "ssh_key_passphrase") + ", or use a key without one")
		}
		if signer, err = ssh.ParsePrivateKeyWithPassphrase(key, []byte(o.KeyPassphrase)); err != nil {
			return nil, errors.New(failure.Option("Passphrase of the private key", "ssh_key_passphrase") + " does not open " + failure.Option("Private key", "ssh_key"))
		}
	}
	if err != nil {
		return nil, errors.New(failure.Option("Private key", "ssh_key") + " is not a private key in PEM or OpenSSH format; paste the whole file, from its line " +
			"-----BEGIN … PRIVATE KEY----- to its line -----END … PRIVATE KEY----- (not the .pub file)")
	}
	return withoutSHA1(signer)
}

// resolve asks the name service for the jump server.
func (t *Tunnel) resolve(ctx context.Context) error {
	if err := lookUp(ctx, t.host); err != nil {
		return t.unreachable(err)
	}
	return nil
}

// dial opens a connection to addr through a new SSH connection. The errors are *TunnelError.
func (t *Tunnel) dial(ctx context.Context, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, tunnelTimeout)
	defer cancel()
	client, err := t.enter(ctx)
	if err != nil {
		return nil, err
	}
	hangUp := context.AfterFunc(ctx, func() { _ = client.Close() })
	defer hangUp()
	far, err := client.DialContext(ctx, "tcp", addr)
	if err != nil {
		_ = client.Close()
		return nil, t.notForwarded(addr, err)
	}
	return newTunnelled(far, client), nil
}

// connect opens an SSH connection on which the server identifies itself by a host key of these algorithms.
func (t *Tunnel) connect(ctx context.Context, hostKeys []string) (*ssh.Client, error) {
	raw, err := dialTCP(ctx, "tcp", t.addr, &t.reached)
	if err != nil {
		return nil, t.unreachable(err)
	}
	hangUp := context.AfterFunc(ctx, func() { _ = raw.Close() })
	defer hangUp()
	client, err := t.handshake(raw, hostKeys)
	if err != nil {
		_ = raw.Close()
		if ctx.Err() != nil {
			return nil, t.fault(false, ctx.Err(), "the jump server %s does not answer", t.addr)
		}
		return nil, err
	}
	return client, nil
}

// handshake logs in, requesting a host key of these algorithms.
func (t *Tunnel) handshake(raw net.Conn, hostKeys []string) (*ssh.Client, error) {
	var stranger error
	config := t.config
	config.HostKeyAlgorithms = hostKeys
	config.HostKeyCallback = func(_ string, _ net.Addr, key ssh.PublicKey) error {
		stranger = t.know(key)
		return stranger
	}
	conn, channels, requests, err := ssh.NewClientConn(raw, t.addr, &config)
	var none *ssh.AlgorithmNegotiationError
	switch {
	case err == nil:
		return ssh.NewClient(conn, channels, requests), nil
	case stranger != nil:
		return nil, stranger
	case errors.As(err, &none) && none.What == "host key":
		return nil, &otherKey{}
	case isLoginRefused(err):
		return nil, t.fault(true, err, "the jump server %s refused the login of %s; check "+failure.Option("Jump server user", "tunnel_user")+" and the key or password, and that the "+
			"server's sshd_config and the user's authorized_keys allow it", t.addr, t.config.User)
	}
	return nil, t.fault(false, err, "the SSH handshake with the jump server %s failed; check that "+failure.Option("Jump server port", "tunnel_port")+" is the port of an SSH server", t.addr)
}

// isLoginRefused uses the library's wording, since it has no type for it. 51 is SSH_MSG_USERAUTH_FAILURE, which OpenSSH without PAM sends
// at once when keyboard-interactive is requested; the library does not expect that.
func isLoginRefused(err error) bool {
	return strings.Contains(err.Error(), "unable to authenticate") || strings.Contains(err.Error(), "unexpected message type 51")
}
