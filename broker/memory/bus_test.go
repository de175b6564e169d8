package memory_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/weir-project/weir/broker"
	"github.com/weir-project/weir/broker/brokertest"
	"github.com/weir-project/weir/broker/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	brokertest.Run(t, func(*testing.T) (publisher, subscriber broker.Transport, d brokertest.Disturber) {
		b := memory.New(memory.Options{Queue: brokertest.Queue})
		return b, b, d
	})
}
