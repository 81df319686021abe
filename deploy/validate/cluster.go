package validate

import (
	"fmt"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// Links finds objects that name others which are not there, or not yet.
func (o *Objects) Links(foreignAccount string) (problems []error) {
	for _, s := range o.StatefulSets {
		if !slices.ContainsFunc(o.Services, func(v *corev1.Service) bool { return v.Name == s.Spec.ServiceName }) {
			problems = append(problems, fmt.Errorf("StatefulSet %s: there is no Service %s", s.Name, s.Spec.ServiceName))
		}
	}
	for _, p := range o.pods() {
		if !p.job() && !labels.SelectorFromSet(p.selector.MatchLabels).Matches(labels.Set(p.meta.Labels)) {
			problems = append(problems, fmt.Errorf("%s does not select its own pods", p.where))
		}
		account := p.spec.ServiceAccountName
		if _, ok := o.Accounts[account]; !ok && account != foreignAccount {
			problems = append(problems, fmt.Errorf("%s: there is no ServiceAccount %s", p.where, account))
		}
		problems = append(problems, o.hooked(&p)...)
	}
	for _, s := range o.Services {
		problems = append(problems, o.targets(s)...)
	}
	return problems
}

const (
	hook       = "helm.sh/hook"
	hookWeight = "helm.sh/hook-weight"
)

// hooked finds what a pod that runs before the release needs, and has only with
// the release.
func (o *Objects) hooked(p *pod) (problems []error) {
	if p.owner.Annotations[hook] == "" {
		return nil
	}
	needs := map[string]map[string]string{}
	if a, ok := o.Accounts[p.spec.ServiceAccountName]; ok {
		needs["ServiceAccount "+a.Name] = a.Annotations
	}
	for _, v := range p.spec.Volumes {
		if v.ConfigMap != nil && o.ConfigMaps[v.ConfigMap.Name] != nil {
			needs["ConfigMap "+v.ConfigMap.Name] = o.ConfigMaps[v.ConfigMap.Name].Annotations
		}
	}
	own, _ := strconv.Atoi(p.owner.Annotations[hookWeight])
	for name, annotations := range needs {
		weight, _ := strconv.Atoi(annotations[hookWeight])
		if annotations[hook] != p.owner.Annotations[hook] || weight >= own {
			problems = append(problems, fmt.Errorf("%s runs before its %s is made", p.where, name))
		}
	}
	return problems
}

// targets holds a Service against the pods that it selects.
func (o *Objects) targets(s *corev1.Service) (problems []error) {
	selector, found := labels.SelectorFromSet(s.Spec.Selector), false
	for _, p := range o.pods() {
		if !selector.Matches(labels.Set(p.meta.Labels)) {
			continue
		}
		found = true
		for _, port := range s.Spec.Ports {
			if !slices.ContainsFunc(p.spec.Containers, func(c corev1.Container) bool { return serves(&c, &port) }) {
				problems = append(problems, fmt.Errorf("Service %s: nobody in %s has %s port %s", s.Name, p.where, port.Protocol, port.TargetPort.String()))
			}
		}
	}
	if !found {
		problems = append(problems, fmt.Errorf("Service %s selects nobody", s.Name))
	}
	return problems
}

// serves tells whether a container has the port that a Service leads to, and the
// Service offers it under the same number.
func serves(c *corev1.Container, of *corev1.ServicePort) bool {
	return slices.ContainsFunc(c.Ports, func(p corev1.ContainerPort) bool {
		named := p.Name == of.TargetPort.StrVal || p.ContainerPort == of.TargetPort.IntVal
		return named && p.Protocol == of.Protocol && p.ContainerPort == of.Port
	})
}

// Security judges all pods by the restricted profile of the Pod Security
// Standards, with Kubernetes' own admission code, and by what this project asks
// beyond it.
func (o *Objects) Security() (problems []error) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return []error{err}
	}
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for _, p := range o.pods() {
		wrong := func(format string, args ...any) {
			problems = append(problems, fmt.Errorf("%s: %w", p.where, fmt.Errorf(format, args...)))
		}
		if all := policy.AggregateCheckResults(evaluator.EvaluatePod(restricted, p.meta, p.spec)); !all.Allowed {
			wrong("%s", all.ForbiddenDetail())
		}
		if p.spec.AutomountServiceAccountToken == nil || *p.spec.AutomountServiceAccountToken {
			wrong("it has a token of the API and no use for it")
		}
		for _, c := range p.spec.Containers {
			if s := c.SecurityContext; s == nil || !*orZero(s.ReadOnlyRootFilesystem) {
				wrong("its root file system can be written")
			}
			if c.Resources.Requests.Memory().IsZero() || c.Resources.Requests.Cpu().IsZero() || c.Resources.Limits.Memory().IsZero() {
				wrong("it needs requests of CPU and memory, and a limit of memory")
			}
			if err := pinned(c.Image); err != nil {
				wrong("%w", err)
			}
		}
	}
	return problems
}
