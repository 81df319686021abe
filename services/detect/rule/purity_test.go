package rule

import (
	"testing"

	"github.com/flowledger/flowledger/services/internal/testkit"
)

func TestCoreIsPure(t *testing.T) {
	testkit.Pure(t, ".", "github.com/flowledger/flowledger/services/internal/snap")
}
