package front

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	chproto "github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2/lib/column"
	"github.com/ClickHouse/clickhouse-go/v2/lib/proto"
)

// reframe copies Native blocks from the framing of protocol revision 0, in which
// libchdb always answers, into the framing of the client's revision: a block
// info before each block, and a serialization flag in each column. Column data
// is the same in both, but where it ends only a decoder knows.
func reframe(to io.Writer, native []byte, revision uint64) error {
	reader := chproto.NewReader(bytes.NewReader(native))
	var buffer chproto.Buffer
	for {
		block, err := nextBlock(reader)
		if block == nil || err != nil {
			return err
		}
		buffer.Reset()
		if err := block.Encode(&buffer, revision); err != nil {
			return fmt.Errorf("cannot encode a Native block for revision %d: %w", revision, err)
		}
		if _, err := to.Write(buffer.Buf); err != nil {
			return err
		}
	}
}

// nextBlock decodes one block of the engine, nil at the end.
func nextBlock(reader *chproto.Reader) (*proto.Block, error) {
	block := newBlock()
	err := block.Decode(reader, 0)
	if errors.Is(err, io.EOF) && block.Columns == nil {
		return nil, nil // the end fell between two blocks
	}
	if err != nil {
		return nil, fmt.Errorf("cannot decode a Native block of the engine: %w", err)
	}
	return block, nil
}

func newBlock() *proto.Block {
	return &proto.Block{ServerContext: &column.ServerContext{Timezone: time.UTC}}
}

// describe writes a block without rows that has the columns of a SELECT. Other
// statements answer nothing.
func (s *session) describe(to *bytes.Buffer, q *request) error {
	if q.statement.verb != "SELECT" && q.statement.verb != "WITH" {
		return nil
	}
	result, err := s.Query([]byte("DESCRIBE TABLE ("+q.statement.bare+"\n)"), "Native", q.params)
	if err != nil {
		return err
	}
	defer result.Close()
	columns, err := nextBlock(chproto.NewReader(bytes.NewReader(result.Bytes())))
	if columns == nil || err != nil {
		return err
	}
	header := newBlock()
	for row := range columns.Rows() {
		name, _ := columns.Columns[0].Row(row, false).(string)
		kind, _ := columns.Columns[1].Row(row, false).(string)
		if err := header.AddColumn(name, column.Type(kind)); err != nil {
			return fmt.Errorf("cannot name the columns of an empty answer: %w", err)
		}
	}
	var buffer chproto.Buffer
	if err := header.Encode(&buffer, q.revision); err != nil {
		return err
	}
	to.Write(buffer.Buf)
	return nil
}
