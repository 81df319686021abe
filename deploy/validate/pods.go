package validate

import (
	"path"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Processes are the containers of all pods.
func (o *Objects) Processes() (processes []*Process, problems []error) {
	for _, p := range o.pods() {
		for i := range p.spec.Containers {
			process, wrong := o.process(&p, &p.spec.Containers[i])
			processes, problems = append(processes, process), append(problems, wrong...)
		}
	}
	return processes, problems
}

func (o *Objects) process(of *pod, c *corev1.Container) (p *Process, problems []error) {
	p = &Process{
		Where: of.where, Binary: binaryOf(c.Image), Args: c.Args, Job: of.job(),
		Env: map[string]string{}, Files: map[string]string{}, Storage: map[string]int64{},
		Grace: time.Duration(*orZero(of.spec.TerminationGracePeriodSeconds)) * time.Second,
	}
	for _, e := range c.Env {
		p.Env[e.Name] = e.Value
	}
	ports := map[string]int{}
	for _, port := range c.Ports {
		ports[port.Name] = int(port.ContainerPort)
		if port.Protocol == corev1.ProtocolUDP {
			p.UDP = append(p.UDP, int(port.ContainerPort))
		} else {
			p.TCP = append(p.TCP, int(port.ContainerPort))
		}
	}
	for _, probe := range []*corev1.Probe{c.LivenessProbe, c.ReadinessProbe, c.StartupProbe} {
		if probe == nil || probe.HTTPGet == nil {
			continue
		}
		port := probe.HTTPGet.Port.IntValue()
		if probe.HTTPGet.Port.Type == intstr.String {
			port = ports[probe.HTTPGet.Port.StrVal]
		}
		p.Probes = append(p.Probes, Probe{port, probe.HTTPGet.Path})
	}
	return p, o.mount(of, c, p)
}

// mount puts what a container's volumes hold into the process's files.
func (o *Objects) mount(of *pod, c *corev1.Container, p *Process) (problems []error) {
	volumes := map[string]*corev1.Volume{}
	for i := range of.spec.Volumes {
		volumes[of.spec.Volumes[i].Name] = &of.spec.Volumes[i]
	}
	claims := map[string]*corev1.PersistentVolumeClaim{}
	for i := range of.claims {
		claims[of.claims[i].Name] = &of.claims[i]
	}
	for _, m := range c.VolumeMounts {
		v := volumes[m.Name]
		switch {
		case claims[m.Name] != nil:
			p.Storage[path.Clean(m.MountPath)] = claims[m.Name].Spec.Resources.Requests.Storage().Value()
		case v == nil:
			problems = append(problems, p.problem("there is no volume %s to mount", m.Name))
		case v.ConfigMap != nil:
			source := o.ConfigMaps[v.ConfigMap.Name]
			if source == nil {
				problems = append(problems, p.problem("there is no ConfigMap %s to mount", v.ConfigMap.Name))
				continue
			}
			for name, content := range source.Data {
				p.Files[path.Join(m.MountPath, name)] = content
			}
		case v.EmptyDir != nil:
			p.Storage[path.Clean(m.MountPath)] = orZero(v.EmptyDir.SizeLimit).Value()
		case v.Secret != nil:
			p.SecretDirs = append(p.SecretDirs, path.Clean(m.MountPath))
		default:
			problems = append(problems, p.problem("nothing here checks volumes like %s; teach it to", m.Name))
		}
	}
	return problems
}

// binaryOf is the program in an image: the last word of its name.
func binaryOf(image string) string {
	name, _, _ := strings.Cut(path.Base(image), ":")
	return name[strings.LastIndexByte(name, '-')+1:]
}

func orZero[T any](v *T) *T {
	if v == nil {
		v = new(T)
	}
	return v
}
