package edge

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
)

// fakeMySQL stands in for vtgate in one login: it sends a greeting, requests
// another authentication method, compares the password, and then answers every command with OK. It
// reports the first packet that differs from what a client sends without an edge.
type fakeMySQL struct {
	listener net.Listener
	wrong    chan error // one per connection; nil if everything was right
}

// scramble is the greeting's random bytes.
const scramble = "abcdefghijklmnopqrst"

func (f *fakeMySQL) serve() {
	for {
		conn, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.wrong <- f.session(conn)
		_ = conn.Close()
	}
}

func (f *fakeMySQL) session(conn net.Conn) error {
	if err := greeting().write(conn, 0); err != nil {
		return err
	}
	login, err := readPacket(conn)
	if err != nil {
		return nil //nolint:nilerr // the edge refused the client by itself
	}
	if login.sequence != 1 || login.capabilities()&clientSSL != 0 {
		return fmt.Errorf("the login has number %d and flags %x", login.sequence, login.capabilities())
	}
	change := packet{sequence: 2, payload: []byte("\xfemysql_clear_password\x00")}
	if err := change.write(conn, 0); err != nil {
		return err
	}
	password, err := readPacket(conn)
	if err != nil {
		return err
	}
	if password.sequence != 3 {
		return fmt.Errorf("the password has number %d", password.sequence)
	}
	if string(password.payload) != testPassword+"\x00" {
		return refuse(4, 1045, "28000", "vtgate denies").write(conn, 0)
	}
	for sequence := byte(4); ; sequence = 1 {
		ok := packet{sequence: sequence, payload: []byte{0, 0, 0, 2, 0, 0, 0}}
		if err := ok.write(conn, 0); err != nil {
			return err
		}
		command, err := readPacket(conn)
		if err != nil {
			return err
		}
		if command.payload[0] == 1 { // COM_QUIT
			return nil
		}
		if command.sequence != 0 {
			return fmt.Errorf("the command has number %d", command.sequence)
		}
	}
}

// greeting is a HandshakeV10 without CLIENT_SSL.
func greeting() packet {
	const flags = 0x00000001 | 0x00000200 | 0x00008000 | 0x00080000 // long password, protocol 4.1, secure connection, plugin auth
	payload := []byte("\x0a8.4.6-Vitess\x00\x01\x00\x00\x00" + scramble[:8] + "\x00")
	payload = binary.LittleEndian.AppendUint16(payload, flags&0xffff)
	payload = append(payload, 0x21, 2, 0)
	payload = binary.LittleEndian.AppendUint16(payload, flags>>16)
	payload = append(payload, byte(len(scramble)+1))
	payload = append(payload, make([]byte, 10)...)
	return packet{payload: append(payload, scramble[8:]+"\x00mysql_native_password\x00"...)}
}

// startMySQL runs an edge in front of a fake and returns the edge's address.
func startMySQL(t *testing.T) (string, *fakeMySQL, *x509.CertPool) {
	t.Helper()
	f := &fakeMySQL{listener: listen(t), wrong: make(chan error, 10)}
	go f.serve()
	t.Cleanup(func() { _ = f.listener.Close() })
	certificate, pool := testCertificate(t)
	front := listen(t)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- serveMySQL(ctx, front, &tls.Config{Certificates: []tls.Certificate{certificate}}, Config{
			Username:   testUser,
			PlainMySQL: f.listener.Addr().String(),
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the edge ended with %v", err)
		}
	})
	return front.Addr().String(), f, pool
}

// ping logs in and runs a command; a nil pool means without TLS.
func ping(t *testing.T, addr, user, password string, pool *x509.CertPool) error {
	t.Helper()
	config := mysql.NewConfig()
	config.Net, config.Addr, config.User, config.Passwd = "tcp", addr, user, password
	config.AllowCleartextPasswords, config.Logger = true, &mysql.NopLogger{}
	if pool != nil {
		config.TLS = &tls.Config{RootCAs: pool, ServerName: "localhost"}
	}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	return errors.Join(db.PingContext(testContext(t)), db.Close())
}

func TestMySQL(t *testing.T) {
	addr, fake, pool := startMySQL(t)
	for name, test := range map[string]struct {
		user, password string
		pool           *x509.CertPool
		want           uint16 // MySQL's error number
		message        string
	}{
		"right":          {testUser, testPassword, pool, 0, ""},
		"wrong password": {testUser, "guess", pool, 1045, "vtgate denies"},
		"other user":     {"root", testPassword, pool, 1045, "Access denied"},
		"without TLS":    {testUser, testPassword, nil, 3159, "insecure transport"},
	} {
		t.Run(name, func(t *testing.T) {
			err := ping(t, addr, test.user, test.password, test.pool)
			var refused *mysql.MySQLError
			if test.want == 0 && err != nil {
				t.Errorf("refused: %v", err)
			}
			if test.want != 0 && (!errors.As(err, &refused) || refused.Number != test.want || !strings.Contains(refused.Message, test.message)) {
				t.Errorf("got %v, want error %d with %q", err, test.want, test.message)
			}
			if err := <-fake.wrong; err != nil {
				t.Error(err)
			}
		})
	}
}

func TestMySQLRefusesStrangeServers(t *testing.T) {
	for _, payload := range []string{"", "\x09old\x00", "\x0ashort\x00", "\xff\x10\x04Too many connections"} {
		if err := offerTLS(packet{payload: []byte(payload)}); err == nil {
			t.Errorf("greeting %q was accepted as MySQL's", payload)
		}
	}
}

func TestPacket(t *testing.T) {
	var wire bytes.Buffer
	sent := packet{sequence: 255, payload: bytes.Repeat([]byte("x"), 70_000)}
	if err := sent.write(&wire, 1); err != nil {
		t.Fatal(err)
	}
	got, err := readPacket(&wire)
	if err != nil {
		t.Fatal(err)
	}
	if got.sequence != 0 || !bytes.Equal(got.payload, sent.payload) {
		t.Errorf("got packet %d of %d bytes, want 0 of 70000", got.sequence, len(got.payload))
	}
}
