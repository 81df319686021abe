package vpc

import (
	"testing"

	"github.com/flowledger/flowledger/services/internal/testkit"
)

func TestPure(t *testing.T) {
	testkit.Pure(t, ".", "github.com/flowledger/flowledger/services/ingest/")
}
