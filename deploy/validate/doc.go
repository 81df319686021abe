// Package validate holds the deployment (docker-compose.yml, helm/flowledger,
// deploy/docker/Dockerfile) against the programs that it deploys. Whatever a
// deployment is, it ends in processes: a binary, arguments, an environment, files,
// ports, probes. Those are taken out of the rendered objects and shown to the very
// binaries, which say what they would do with them.
//
//	docker-compose.yml ─▶ compose-go ───────────╮
//	                                            ├─▶ []Process ─▶ Programs.Judge ─▶ what is wrong
//	helm/flowledger ─▶ helm's engine ─▶ API types╯                    │
//	                                                bin/<service> config check, config print
//
// There is no cluster and no schema server here: rendered objects are decoded
// strictly into the real API types (an unknown or misspelt field is an error),
// and their pods are judged by Kubernetes' own Pod Security admission.
//
// The package is a module of its own, outside go.work: Kubernetes and Helm have
// no business in the services' dependencies.
package validate
