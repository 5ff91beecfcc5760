// Go's crypto/tls in both roles.  "client": a request a line of stdin as JSON, its words a line of stdout.  "server": the
// cells as one line of stdin, their ports as one line of stdout, then it serves until stdin ends.
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"reflect"
	"time"
)

type cell struct {
	Port      int
	Version   uint16
	Groups    []uint16
	Alpn, Ca  string
	Cert, Key string
	Resumed   bool
	Request   []byte
	Name      string
}

type words struct {
	Version string `json:"version"`
	Suite   string `json:"suite"`
	Group   string `json:"group"`
	Resumed bool   `json:"resumed"`
	Alpn    string `json:"alpn"`
	Client  string `json:"client"`
	Answer  []byte `json:"answer,omitempty"`
	Error   string `json:"error,omitempty"`
}

func config(of cell) (*tls.Config, error) {
	made := &tls.Config{MinVersion: of.Version, MaxVersion: of.Version, NextProtos: []string{of.Alpn}, ServerName: of.Name}
	for _, group := range of.Groups {
		made.CurvePreferences = append(made.CurvePreferences, tls.CurveID(group))
	}
	if of.Cert != "" {
		pair, err := tls.LoadX509KeyPair(of.Cert, of.Key)
		if err != nil {
			return nil, err
		}
		made.Certificates = []tls.Certificate{pair}
	}
	if of.Ca != "" {
		pem, err := os.ReadFile(of.Ca)
		if err != nil {
			return nil, err
		}
		made.RootCAs = x509.NewCertPool()
		made.RootCAs.AppendCertsFromPEM(pem)
	}
	return made, nil
}

func told(state tls.ConnectionState) words {
	said := words{Version: fmt.Sprintf("1.%d", state.Version-0x301), Suite: tls.CipherSuiteName(state.CipherSuite),
		Resumed: state.DidResume, Alpn: state.NegotiatedProtocol}
	if group := reflect.ValueOf(state).FieldByName("CurveID"); group.IsValid() { // since Go 1.25
		said.Group = fmt.Sprint(group.Interface())
	}
	if len(state.PeerCertificates) > 0 {
		said.Client = state.PeerCertificates[0].Subject.String()
	}
	return said
}

func ask(port int, made *tls.Config, request []byte) (words, error) {
	conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), 20*time.Second)
	if err != nil {
		return words{}, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	secure := tls.Client(conn, made)
	if _, err := secure.Write(request); err != nil {
		return words{}, err
	}
	answer, err := io.ReadAll(secure)
	if err != nil {
		return words{}, err
	}
	said := told(secure.ConnectionState())
	said.Client, said.Answer = "", answer
	secure.Close()
	return said, nil
}

func asked(of cell) (words, error) {
	made, err := config(of)
	if err != nil {
		return words{}, err
	}
	made.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	if of.Resumed {
		if _, err := ask(of.Port, made, of.Request); err != nil {
			return words{}, err
		}
	}
	return ask(of.Port, made, of.Request)
}

func answer(conn *tls.Conn) error {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := conn.Read(make([]byte, 1<<16)); err != nil {
		return err
	}
	body, err := json.Marshal(told(conn.ConnectionState()))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	return err
}

func serve(of cell) (int, error) {
	made, err := config(of)
	if err != nil {
		return 0, err
	}
	if of.Ca != "" {
		made.ClientCAs, made.ClientAuth = made.RootCAs, tls.RequireAndVerifyClientCert
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", made)
	if err != nil {
		return 0, err
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				if err := answer(conn.(*tls.Conn)); err != nil {
					fmt.Fprintln(os.Stderr, err)
				}
			}()
		}
	}()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(2)
}

func main() {
	lines := bufio.NewReader(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	if os.Args[1] == "client" {
		in := json.NewDecoder(lines)
		for in.More() {
			var one cell
			if err := in.Decode(&one); err != nil {
				fail(err)
			}
			said, err := asked(one)
			if err != nil {
				said.Error = err.Error()
			}
			out.Encode(said)
		}
		return
	}
	line, err := lines.ReadBytes('\n')
	if err != nil {
		fail(err)
	}
	var cells map[string]cell
	if err := json.Unmarshal(line, &cells); err != nil {
		fail(err)
	}
	ports := map[string]int{}
	for name, of := range cells {
		port, err := serve(of)
		if err != nil {
			fail(err)
		}
		ports[name] = port
	}
	out.Encode(ports)
	io.Copy(io.Discard, lines)
}
