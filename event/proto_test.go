package event_test

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

var (
	protoBlock = regexp.MustCompile(`^(message|enum) (\w+) \{$`)
	protoField = regexp.MustCompile(`^  (optional |repeated )?(\w+) (\w+) = (\d+);$`)
	protoValue = regexp.MustCompile(`^  (\w+) = (\d+);$`)
)

var scalars = map[string]descriptorpb.FieldDescriptorProto_Type{
	"string": descriptorpb.FieldDescriptorProto_TYPE_STRING, "bytes": descriptorpb.FieldDescriptorProto_TYPE_BYTES,
	"bool": descriptorpb.FieldDescriptorProto_TYPE_BOOL, "uint32": descriptorpb.FieldDescriptorProto_TYPE_UINT32,
	"uint64": descriptorpb.FieldDescriptorProto_TYPE_UINT64, "sint32": descriptorpb.FieldDescriptorProto_TYPE_SINT32,
	"sint64": descriptorpb.FieldDescriptorProto_TYPE_SINT64, "fixed64": descriptorpb.FieldDescriptorProto_TYPE_FIXED64,
	"sfixed64": descriptorpb.FieldDescriptorProto_TYPE_SFIXED64,
}

// schema is event.proto as protoc would have read it: what the test reads of the
// language is what event.proto uses of it, line by line.
var schema = sync.OnceValues(func() (protoreflect.FileDescriptor, error) {
	text, err := os.ReadFile("event.proto")
	if err != nil {
		return nil, err
	}
	file := &descriptorpb.FileDescriptorProto{
		Name: new("event.proto"), Package: new("weir.event.v1"), Syntax: new("proto3"),
	}
	enums := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^enum (\w+)`).FindAllStringSubmatch(string(text), -1) {
		enums[m[1]] = true
	}
	var message *descriptorpb.DescriptorProto
	var enum *descriptorpb.EnumDescriptorProto
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "//")
		line = strings.TrimRight(line, " \n")
		if m := protoBlock.FindStringSubmatch(line); m != nil {
			message, enum = nil, nil
			if m[1] == "message" {
				message = &descriptorpb.DescriptorProto{Name: &m[2]}
				file.MessageType = append(file.MessageType, message)
			} else {
				enum = &descriptorpb.EnumDescriptorProto{Name: &m[2]}
				file.EnumType = append(file.EnumType, enum)
			}
		} else if m := protoField.FindStringSubmatch(line); m != nil {
			addField(message, enums, m)
		} else if m := protoValue.FindStringSubmatch(line); m != nil {
			n, _ := strconv.Atoi(m[2])
			enum.Value = append(enum.Value, &descriptorpb.EnumValueDescriptorProto{Name: &m[1], Number: new(int32(n))})
		} else if line != "" && line != "}" && line != `syntax = "proto3";` && line != "package weir.event.v1;" {
			panic("event.proto: a line that the test can't read: " + line)
		}
	}
	return protodesc.NewFile(file, nil)
})

func addField(message *descriptorpb.DescriptorProto, enums map[string]bool, m []string) {
	n, _ := strconv.Atoi(m[4])
	f := &descriptorpb.FieldDescriptorProto{
		Name: &m[3], Number: new(int32(n)), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
	}
	if t, ok := scalars[m[2]]; ok {
		f.Type = t.Enum()
	} else {
		f.TypeName = new(".weir.event.v1." + m[2])
		f.Type = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum()
		if enums[m[2]] {
			f.Type = descriptorpb.FieldDescriptorProto_TYPE_ENUM.Enum()
		}
	}
	switch m[1] {
	case "repeated ":
		f.Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
	case "optional ":
		f.Proto3Optional, f.OneofIndex = new(true), new(int32(len(message.OneofDecl)))
		message.OneofDecl = append(message.OneofDecl, &descriptorpb.OneofDescriptorProto{Name: new("_" + m[3])})
	}
	message.Field = append(message.Field, f)
}

// A generic is a message of event.proto, as the library of protocol buffers has it.
type generic struct{ protoreflect.Message }

func newGeneric(tb testing.TB, name protoreflect.Name) generic {
	tb.Helper()
	file, err := schema()
	if err != nil {
		tb.Fatal(err)
	}
	return generic{dynamicpb.NewMessage(file.Messages().ByName(name))}
}

// parse reads p with the library.
func (g generic) parse(p []byte) error { return proto.Unmarshal(p, g.Interface()) }

// bytes writes g with the library.
func (g generic) bytes(tb testing.TB) []byte {
	tb.Helper()
	p, err := proto.MarshalOptions{Deterministic: true}.Marshal(g.Interface())
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func (g generic) field(name string) protoreflect.FieldDescriptor {
	f := g.Descriptor().Fields().ByName(protoreflect.Name(name))
	if f == nil {
		panic("event.proto: no field " + name)
	}
	return f
}

func (g generic) value(name string) protoreflect.Value { return g.Get(g.field(name)) }
func (g generic) uint(name string) uint64              { return g.value(name).Uint() }
func (g generic) int(name string) int64                { return g.value(name).Int() }
func (g generic) string(name string) string            { return g.value(name).String() }
func (g generic) bool(name string) bool                { return g.value(name).Bool() }
func (g generic) enum(name string) int                 { return int(g.value(name).Enum()) }

// list returns the messages of a repeated field.
func (g generic) list(name string) []generic {
	l := g.value(name).List()
	out := make([]generic, l.Len())
	for i := range out {
		out[i] = generic{l.Get(i).Message()}
	}
	return out
}
