package library

import (
	"fmt"
	"runtime"
)

// engineVersion is the release of the npm packages that carry libchdb.
const engineVersion = "26.7.3-stable.1"

// artifact is one npm package with a libchdb for one platform.
type artifact struct {
	name      string // npm package
	integrity string // npm's "sha512-…" of the packed file; empty: as npm's registry states it
	library   string // path of the library inside the package
	megabytes int    // size of the packed file, for the progress line
}

// artifacts are by GOOS/GOARCH.
//
// The arm64 package is the sibling that the chdb package of the same release
// asks for; its digest could not be pinned, so npm's own check (packed file
// against the registry's digest) is all that guards it.
var artifacts = map[string]artifact{
	"linux/amd64": {
		name:      "@chdb/lib-linux-x64-gnu",
		integrity: "sha512-XP97mMqnc5tZpKQywR8N7cLTsHNiTmHr30pC5mzo3jWmukjKn2IBa60c2B/gWUNcuFjOMjWoorQICCqBVj5wpw==",
		library:   "libchdb.so",
		megabytes: 178,
	},
	"linux/arm64": {
		name:      "@chdb/lib-linux-arm64-gnu",
		library:   "libchdb.so",
		megabytes: 170,
	},
}

// artifactFor returns the package for a platform. The error says what else a
// user of another platform can do.
func artifactFor(goos, goarch string) (artifact, error) {
	a, ok := artifacts[goos+"/"+goarch]
	if !ok {
		return artifact{}, fmt.Errorf("there is no embedded ClickHouse engine for %s/%s: put a `clickhouse` binary on PATH, or set CLICKHOUSE_ADDR=host:port to a running server's HTTP port", goos, goarch)
	}
	return a, nil
}

// folder is the name of the unpacked package's folder inside the cache.
func (a artifact) folder() string {
	return fmt.Sprintf("chdb-%s-%s-%s", engineVersion, runtime.GOOS, runtime.GOARCH)
}
