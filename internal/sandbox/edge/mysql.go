package edge

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"
)

// clientSSL is CLIENT_SSL, a capability flag of MySQL's protocol.
const clientSSL = 0x0800

// loginTimeout is how long a client may take to log in.
const loginTimeout = 10 * time.Second

// serveMySQL carries every connection that asks for TLS to the vtgate behind,
// which checks the password, until the context ends.
func serveMySQL(ctx context.Context, listener net.Listener, config *tls.Config, c Config) error {
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer stop()
	var connections sync.WaitGroup
	defer connections.Wait()
	for {
		front, err := listener.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accepting MySQL connections: %w", err)
		}
		connections.Go(func() {
			if err := carry(ctx, front, config, c); err != nil {
				slog.Info("MySQL connection ended", "error", err)
			}
		})
	}
}

// carry serves one client.
func carry(ctx context.Context, front net.Conn, config *tls.Config, c Config) error {
	defer front.Close()
	back, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", c.PlainMySQL)
	if err != nil {
		return fmt.Errorf("dialling vtgate: %w", err)
	}
	defer back.Close()
	stop := context.AfterFunc(ctx, func() { _, _ = front.Close(), back.Close() })
	defer stop()
	late := time.Now().Add(loginTimeout)
	if err := errors.Join(front.SetDeadline(late), back.SetDeadline(late)); err != nil {
		return err
	}
	secure, err := login(front, back, config, c.Username)
	if err != nil {
		return err
	}
	if err := errors.Join(front.SetDeadline(time.Time{}), back.SetDeadline(time.Time{})); err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(back, secure)
		_ = back.Close()
	}()
	_, _ = io.Copy(secure, back)
	return nil
}

// login is the connection phase of MySQL's protocol: the server's greeting,
// the client's SSLRequest and, inside TLS, its login. vtgate sees none of the
// TLS, so that for it the client's packets count one less.
func login(front, back net.Conn, config *tls.Config, username string) (*tls.Conn, error) {
	greeting, err := readPacket(back)
	if err != nil {
		return nil, err
	}
	if err := offerTLS(greeting); err != nil {
		return nil, err
	}
	if err := greeting.write(front, 0); err != nil {
		return nil, err
	}
	request, err := readPacket(front)
	if err != nil {
		return nil, err
	}
	if len(request.payload) < 32 || request.capabilities()&clientSSL == 0 {
		refusal := refuse(request.sequence+1, 3159, "HY000", "Connections using insecure transport are prohibited: ask for TLS")
		return nil, errors.Join(errors.New("the client did not ask for TLS"), refusal.write(front, 0))
	}
	secure := tls.Server(front, config)
	response, err := readPacket(secure)
	if err != nil {
		return nil, err
	}
	if user, ok := response.user(); !ok || user != username {
		refusal := refuse(response.sequence+1, 1045, "28000", "Access denied: the user name or the password is wrong")
		return nil, errors.Join(errors.New("the client gave another user name"), refusal.write(secure, 0))
	}
	response.setCapabilities(response.capabilities() &^ clientSSL)
	return secure, authenticate(secure, back, response)
}

// authenticate passes the client's packets on until vtgate accepts or refuses.
func authenticate(secure, back net.Conn, packet packet) error {
	for {
		if err := packet.write(back, -1); err != nil {
			return err
		}
		answer, err := readPacket(back)
		if err != nil {
			return err
		}
		if err := answer.write(secure, +1); err != nil {
			return err
		}
		switch {
		case len(answer.payload) > 0 && answer.payload[0] == 0x00: // OK
			return nil
		case len(answer.payload) > 0 && answer.payload[0] == 0xff: // ERR
			return errors.New("vtgate refused the login")
		}
		if packet, err = readPacket(secure); err != nil {
			return err
		}
	}
}

// packet is a packet of MySQL's protocol.
type packet struct {
	sequence byte
	payload  []byte
}

func readPacket(r io.Reader) (packet, error) {
	var header [4]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return packet{}, fmt.Errorf("reading a MySQL packet: %w", err)
	}
	length := int(header[0]) | int(header[1])<<8 | int(header[2])<<16
	payload := make([]byte, length)
	if _, err := io.ReadFull(r, payload); err != nil {
		return packet{}, fmt.Errorf("reading a MySQL packet: %w", err)
	}
	return packet{sequence: header[3], payload: payload}, nil
}

// write sends the packet with its number shifted.
func (p packet) write(w io.Writer, shift int) error {
	length := len(p.payload)
	header := []byte{byte(length), byte(length >> 8), byte(length >> 16), byte(int(p.sequence) + shift)}
	if _, err := w.Write(append(header, p.payload...)); err != nil {
		return fmt.Errorf("writing a MySQL packet: %w", err)
	}
	return nil
}

// capabilities reads the flags at the start of a client's SSLRequest and
// HandshakeResponse41.
func (p packet) capabilities() uint32 {
	if len(p.payload) < 4 {
		return 0
	}
	return binary.LittleEndian.Uint32(p.payload)
}

func (p packet) setCapabilities(flags uint32) { binary.LittleEndian.PutUint32(p.payload, flags) }

// user reads the user name of a HandshakeResponse41: it follows 32 bytes of
// flags, sizes and filler, and ends with a zero.
func (p packet) user() (string, bool) {
	if len(p.payload) < 32 {
		return "", false
	}
	user, _, ok := bytes.Cut(p.payload[32:], []byte{0})
	return string(user), ok
}

// offerTLS sets CLIENT_SSL in a server's greeting (Protocol::HandshakeV10):
// the flags follow the version's string, four bytes of connection number, and
// eight of the scramble and a zero.
func offerTLS(greeting packet) error {
	version := bytes.IndexByte(greeting.payload, 0)
	flags := version + 1 + 4 + 8 + 1
	if len(greeting.payload) < flags+2 || greeting.payload[0] != 10 {
		return errors.New("vtgate did not greet as MySQL does")
	}
	low := binary.LittleEndian.Uint16(greeting.payload[flags:])
	binary.LittleEndian.PutUint16(greeting.payload[flags:], low|clientSSL)
	return nil
}

// refuse makes an ERR packet.
func refuse(sequence byte, code uint16, state, message string) packet {
	payload := binary.LittleEndian.AppendUint16([]byte{0xff}, code)
	return packet{sequence: sequence, payload: append(payload, "#"+state+message...)}
}
