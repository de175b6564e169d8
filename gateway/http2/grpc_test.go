package http2

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	h2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/weir-project/weir/gateway"
)

// A service echoes, in every way that gRPC has.
type service struct {
	pb.UnimplementedTestServiceServer
	gone chan struct{} // closed when a client left
}

func (s *service) UnaryCall(ctx context.Context, r *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	grpc.SetHeader(ctx, metadata.Pairs("x-head", strings.Join(md["x-forwarded-for"], "|")))
	grpc.SetTrailer(ctx, metadata.Pairs("x-tail", "1", "x-ratelimit-limit", "9", "x-bin-bin", "\x00\x01"))
	if r.GetResponseStatus() != nil {
		return nil, status.Error(codes.Code(r.ResponseStatus.Code), r.ResponseStatus.Message)
	}
	return &pb.SimpleResponse{Payload: r.Payload}, nil
}

func (s *service) StreamingOutputCall(r *pb.StreamingOutputCallRequest, out grpc.ServerStreamingServer[pb.StreamingOutputCallResponse]) error {
	for _, p := range r.ResponseParameters {
		if err := out.Send(&pb.StreamingOutputCallResponse{Payload: &pb.Payload{Body: make([]byte, p.Size)}}); err != nil {
			return err
		}
	}
	return nil
}

func (s *service) StreamingInputCall(in grpc.ClientStreamingServer[pb.StreamingInputCallRequest, pb.StreamingInputCallResponse]) error {
	sum := 0
	for {
		r, err := in.Recv()
		if err == io.EOF {
			return in.SendAndClose(&pb.StreamingInputCallResponse{AggregatedPayloadSize: int32(sum)})
		}
		if err != nil {
			return err
		}
		sum += len(r.Payload.Body)
	}
}

func (s *service) FullDuplexCall(both grpc.BidiStreamingServer[pb.StreamingOutputCallRequest, pb.StreamingOutputCallResponse]) error {
	for {
		r, err := both.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			close(s.gone)
			return err
		}
		if err := both.Send(&pb.StreamingOutputCallResponse{Payload: r.Payload}); err != nil {
			return err
		}
	}
}

// grpcDoor starts a gRPC server and a door to it, and connects to the door.
func grpcDoor(t *testing.T, p *pipeline) (pb.TestServiceClient, *service) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &service{gone: make(chan struct{})}
	server := grpc.NewServer()
	pb.RegisterTestServiceServer(server, s)
	go server.Serve(l)
	t.Cleanup(server.Stop)
	d := open(t, p, Options{}, "http://"+l.Addr().String())
	return pb.NewTestServiceClient(connect(t, d)), s
}

func connect(t *testing.T, d *door) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(d.addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func payload(n int) *pb.Payload { return &pb.Payload{Body: make([]byte, n)} }

func TestGRPCUnary(t *testing.T) {
	p := &pipeline{}
	c, _ := grpcDoor(t, p)
	var head, tail metadata.MD
	res, err := c.UnaryCall(t.Context(), &pb.SimpleRequest{Payload: payload(100_000)}, grpc.Header(&head), grpc.Trailer(&tail))
	if err != nil || len(res.Payload.Body) != 100_000 {
		t.Fatalf("got %v, %v", res.GetPayload(), err)
	}
	if got := head["x-head"]; len(got) != 1 || got[0] != "127.0.0.1" {
		t.Errorf("the backend saw the client at %v", got)
	}
	if tail["x-tail"] == nil || tail["x-bin-bin"][0] != "\x00\x01" || tail["x-ratelimit-limit"] != nil {
		t.Errorf("got trailers %v", tail)
	}
	if got := p.outcome(t, 1); got.Status != 200 || got.RequestBytes < 100_000 || got.ResponseBytes < 100_000 || !got.Forwarded {
		t.Errorf("got outcome %+v", got)
	}
	// An error is a head without a body.
	_, err = c.UnaryCall(t.Context(), &pb.SimpleRequest{ResponseStatus: &pb.EchoStatus{Code: 5, Message: "no 100 % such\npet"}})
	if got := status.Convert(err); got.Code() != codes.NotFound || got.Message() != "no 100 % such\npet" {
		t.Errorf("got %v", err)
	}
}

func TestGRPCStreams(t *testing.T) {
	p := &pipeline{}
	c, s := grpcDoor(t, p)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()

	down, err := c.StreamingOutputCall(ctx, &pb.StreamingOutputCallRequest{ResponseParameters: []*pb.ResponseParameters{{Size: 1}, {Size: 70_000}, {Size: 2}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{1, 70_000, 2} {
		r, err := down.Recv()
		if err != nil || len(r.Payload.Body) != want {
			t.Fatalf("got %d bytes, %v, want %d", len(r.GetPayload().GetBody()), err, want)
		}
	}
	if _, err := down.Recv(); err != io.EOF {
		t.Errorf("got %v, want the end", err)
	}

	up, err := c.StreamingInputCall(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		up.Send(&pb.StreamingInputCallRequest{Payload: payload(1000)})
	}
	if r, err := up.CloseAndRecv(); err != nil || r.AggregatedPayloadSize != 10_000 {
		t.Errorf("got %v, %v", r, err)
	}

	both, err := c.FullDuplexCall(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		if err := both.Send(&pb.StreamingOutputCallRequest{Payload: payload(i)}); err != nil {
			t.Fatal(err)
		}
		if r, err := both.Recv(); err != nil || len(r.Payload.GetBody()) != i {
			t.Fatalf("message %d: got %v, %v", i, r, err)
		}
	}
	cancel() // in the middle of the stream
	select {
	case <-s.gone:
	case <-time.After(10 * time.Second):
		t.Error("the backend was not told that the client left")
	}
	p.outcome(t, 3)
}

// TestGRPCPings is a client that measures the bandwidth by pings, as grpc-go does.
func TestGRPCPings(t *testing.T) {
	p := &pipeline{}
	c, _ := grpcDoor(t, p)
	both, err := c.FullDuplexCall(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2000 {
		both.Send(&pb.StreamingOutputCallRequest{Payload: payload(100)})
		if _, err := both.Recv(); err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
	}
	both.CloseSend()
	if _, err := both.Recv(); err != io.EOF {
		t.Error(err)
	}
}

func TestGRPCRefused(t *testing.T) {
	for _, tt := range []struct {
		http int
		want codes.Code
	}{
		{429, codes.ResourceExhausted},
		{401, codes.Unauthenticated},
		{403, codes.PermissionDenied},
		{404, codes.Unimplemented},
		{405, codes.Unimplemented},
		{503, codes.Unavailable},
		{502, codes.Unavailable},
		{504, codes.DeadlineExceeded},
		{400, codes.Internal},
		{500, codes.Internal},
		{413, codes.ResourceExhausted},
		{431, codes.ResourceExhausted},
		{408, codes.DeadlineExceeded},
		{418, codes.Unknown},
	} {
		for kind, body := range map[string]string{
			"json": `{"code":"1","description":"50 % is enough ß"}`,
			"xml":  `<amt:fault><amt:description>50 % is enough ß</amt:description></amt:fault>`,
		} {
			t.Run(fmt.Sprint(tt.http, kind), func(t *testing.T) {
				p := &pipeline{refuse: &gateway.Answer{
					Status: tt.http, ContentType: "application/" + kind, Body: []byte(body),
					Fields: []gateway.Field{{Name: "Retry-After", Value: []byte("7")}, {Name: "RateLimit", Value: []byte(`"x";r=0;t=7`)}},
				}}
				d := open(t, p, Options{}, "http://127.0.0.1:1")
				var head metadata.MD
				c := pb.NewTestServiceClient(connect(t, d))
				var tail metadata.MD
				_, err := c.UnaryCall(t.Context(), &pb.SimpleRequest{Payload: payload(10)}, grpc.Header(&head), grpc.Trailer(&tail))
				if got := status.Convert(err); got.Code() != tt.want || got.Message() != `50 % is enough ß` {
					t.Errorf("got %v, want %v", err, tt.want)
				}
				all := metadata.Join(head, tail)
				if all["retry-after"] == nil || all["ratelimit"] == nil || all["content-length"] != nil {
					t.Errorf("got fields %v", all)
				}
				if got := p.outcome(t, 1); got.Status != tt.http || got.Forwarded {
					t.Errorf("got outcome %+v", got)
				}
			})
		}
	}
}

// TestGRPCBackendGone wants Unavailable, which clients know to repeat.
func TestGRPCBackendGone(t *testing.T) {
	p := &pipeline{}
	d := open(t, p, Options{}, "http://127.0.0.1:1")
	_, err := pb.NewTestServiceClient(connect(t, d)).UnaryCall(t.Context(), &pb.SimpleRequest{})
	if status.Code(err) != codes.Unavailable {
		t.Errorf("got %v, want Unavailable", err)
	}
	only1 := backend(t, func(w http.ResponseWriter, r *http.Request) {})
	d = open(t, p, Options{}, only1)
	_, err = pb.NewTestServiceClient(connect(t, d)).UnaryCall(t.Context(), &pb.SimpleRequest{})
	if status.Code(err) != codes.Unavailable {
		t.Errorf("a backend without HTTP/2: got %v, want Unavailable", err)
	}
}

// TestGRPCBreaksOff is a backend that goes away within its answer.
func TestGRPCBreaksOff(t *testing.T) {
	url := backend2(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		w.Write([]byte{0, 0, 0, 0, 0})
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}))
	p := &pipeline{}
	d := open(t, p, Options{}, url)
	down, err := pb.NewTestServiceClient(connect(t, d)).StreamingOutputCall(t.Context(), &pb.StreamingOutputCallRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := down.Recv(); err != nil {
		t.Fatal(err)
	}
	if _, err := down.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("got %v, want Unavailable", err)
	}
}

// TestGRPCTrailersOfClients reach the backend, but for what they could fake.
func TestGRPCTrailersOfClients(t *testing.T) {
	got := make(chan http.Header, 1)
	url := backend2(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		got <- r.Trailer
	}))
	p := &pipeline{look: func(x *gateway.Exchange) { x.StripHeader = "X-Key" }}
	d := open(t, p, Options{}, url)
	c := dial(t, d)
	names := []string{"x-late", "x-forwarded-for", "x_forwarded_for", "x-ratelimit-limit", "ratelimit", "x-real-ip", "x-key", "apikey"}
	c.head(1, false, ":method", "POST", "content-type", "application/grpc+proto", "te", "trailers", "trailer", strings.Join(names, ","))
	c.WriteData(1, false, []byte("body"))
	c.block.Reset()
	for _, name := range names {
		c.enc.WriteField(hpack.HeaderField{Name: name, Value: "1"})
	}
	c.WriteHeaders(h2.HeadersFrameParam{StreamID: 1, BlockFragment: c.block.Bytes(), EndStream: true, EndHeaders: true})
	c.send()
	if _, _, err := c.replies(1); err != nil {
		t.Fatal(err)
	}
	if h := <-got; len(h) != 1 || h.Get("X-Late") != "1" {
		t.Errorf("the backend got trailers %v, want X-Late alone", h)
	}
}

func TestIsGRPC(t *testing.T) {
	for text, want := range map[string]bool{
		"application/grpc": true, "application/grpc+proto": true, "application/grpc;x=1": true, "Application/GRPC+json": true,
		"application/grpc-web": false, "application/grpc-web+proto": false, "application/grp": false, "": false, "text/plain": false,
	} {
		if got := isGRPC(text); got != want {
			t.Errorf("isGRPC(%q) = %v, want %v", text, got, want)
		}
	}
}
