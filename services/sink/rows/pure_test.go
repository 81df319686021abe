package rows

import (
	"testing"

	"github.com/flowledger/flowledger/services/internal/testkit"
)

func TestRowsIsPure(t *testing.T) { testkit.Pure(t, ".") }
