package front

import (
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// decoded returns the request's body with both of ClickHouse's compressions
// undone: HTTP's (Content-Encoding) around its own block format (decompress=1).
func decoded(r *http.Request, query url.Values) (io.Reader, error) {
	body, err := contentDecoded(r.Body, r.Header.Get("Content-Encoding"))
	if err != nil {
		return nil, err
	}
	if on(query.Get("decompress")) {
		return unframed{compress.NewReader(body)}, nil
	}
	return body, nil
}

// unframed reads ClickHouse's compressed blocks and ends with a plain io.EOF,
// where the reader beneath it wraps that.
type unframed struct{ frames io.Reader }

func (u unframed) Read(p []byte) (int, error) {
	n, err := u.frames.Read(p)
	if errors.Is(err, io.EOF) {
		err = io.EOF
	}
	return n, err
}

func contentDecoded(body io.Reader, encoding string) (io.Reader, error) {
	var decoder io.Reader
	var err error
	switch strings.ToLower(encoding) {
	case "", "identity":
		return body, nil
	case "gzip":
		decoder, err = gzip.NewReader(body)
	case "deflate":
		decoder, err = zlib.NewReader(body)
	case "br":
		decoder = brotli.NewReader(body)
	case "lz4":
		decoder = lz4.NewReader(body)
	case "zstd":
		var z *zstd.Decoder
		if z, err = zstd.NewReader(body); err == nil {
			return z.IOReadCloser(), nil
		}
	default:
		return nil, failf(89, "unknown Content-Encoding %q: use gzip, deflate, br, lz4 or zstd", encoding)
	}
	if err != nil {
		return nil, failf(271, "cannot decompress the request's body: %v", err)
	}
	return decoder, nil
}

// compression is the method that the client wants the answer in.
func compression(query url.Values) string {
	if !on(query.Get("compress")) {
		return ""
	}
	return first(strings.ToUpper(query.Get("network_compression_method")), "LZ4")
}

func on(flag string) bool { return flag == "1" || flag == "true" }

// frameBytes is how much of an answer goes into one compressed frame.
const frameBytes = 1 << 20

// frames writes in ClickHouse's compressed block format.
type frames struct {
	to         io.Writer
	compressor *compress.Writer
}

func newFrames(to io.Writer, method string) *frames {
	m := compress.LZ4
	if method == "ZSTD" {
		m = compress.ZSTD
	}
	return &frames{to: to, compressor: compress.NewWriter(compress.LevelZero, m)}
}

func (f *frames) Write(data []byte) (int, error) {
	written := 0
	for len(data) > 0 {
		piece := data[:min(len(data), frameBytes)]
		if err := f.compressor.Compress(piece); err != nil {
			return written, err
		}
		if _, err := f.to.Write(f.compressor.Data); err != nil {
			return written, err
		}
		data, written = data[len(piece):], written+len(piece)
	}
	return written, nil
}
