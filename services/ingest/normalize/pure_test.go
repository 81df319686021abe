package normalize

import (
	"testing"

	"github.com/flowledger/flowledger/services/internal/testkit"
)

func TestPure(t *testing.T) {
	testkit.Pure(t, ".", "github.com/netsampler/goflow2/v2/decoders/")
}
