package validate

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes/scheme"
)

// Objects are a rendering's, in the API's own types.
type Objects struct {
	Deployments  []*appsv1.Deployment
	StatefulSets []*appsv1.StatefulSet
	Jobs         []*batchv1.Job
	Services     []*corev1.Service
	ConfigMaps   map[string]*corev1.ConfigMap
	Accounts     map[string]*corev1.ServiceAccount
}

// Decode reads manifests strictly: an unknown, misspelt or doubled field, a value
// of a wrong type, or a kind that Kubernetes does not have is an error.
func Decode(r Rendering) (*Objects, error) {
	decoder := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	all := &Objects{ConfigMaps: map[string]*corev1.ConfigMap{}, Accounts: map[string]*corev1.ServiceAccount{}}
	for _, doc := range r.documents() {
		object, kind, err := decoder.Decode([]byte(doc), nil, nil)
		if err != nil {
			return nil, fmt.Errorf("%w in\n%s", err, doc)
		}
		if err := all.add(object); err != nil {
			return nil, fmt.Errorf("%s: %w", kind, err)
		}
	}
	return all, nil
}

func (o *Objects) add(object runtime.Object) error {
	switch x := object.(type) {
	case *appsv1.Deployment:
		o.Deployments = append(o.Deployments, x)
	case *appsv1.StatefulSet:
		o.StatefulSets = append(o.StatefulSets, x)
	case *batchv1.Job:
		o.Jobs = append(o.Jobs, x)
	case *corev1.Service:
		o.Services = append(o.Services, x)
	case *corev1.ConfigMap:
		o.ConfigMaps[x.Name] = x
	case *corev1.ServiceAccount:
		o.Accounts[x.Name] = x
	default:
		return fmt.Errorf("nothing here checks this kind; teach it to")
	}
	return nil
}

// pod is a pod's template with the object that makes it.
type pod struct {
	where string
	owner *metav1.ObjectMeta
	meta  *metav1.ObjectMeta
	spec  *corev1.PodSpec
	// selector is what its owner finds it by, nil for a job; claims are the volumes
	// that its owner makes for each pod.
	selector *metav1.LabelSelector
	claims   []corev1.PersistentVolumeClaim
}

// job tells that the pod is to end by itself.
func (p *pod) job() bool { return p.selector == nil }

// pods are the templates of all pods.
func (o *Objects) pods() (pods []pod) {
	for _, d := range o.Deployments {
		pods = append(pods, pod{"Deployment " + d.Name, &d.ObjectMeta, &d.Spec.Template.ObjectMeta, &d.Spec.Template.Spec, d.Spec.Selector, nil})
	}
	for _, s := range o.StatefulSets {
		pods = append(pods, pod{"StatefulSet " + s.Name, &s.ObjectMeta, &s.Spec.Template.ObjectMeta, &s.Spec.Template.Spec, s.Spec.Selector, s.Spec.VolumeClaimTemplates})
	}
	for _, j := range o.Jobs {
		pods = append(pods, pod{"Job " + j.Name, &j.ObjectMeta, &j.Spec.Template.ObjectMeta, &j.Spec.Template.Spec, nil, nil})
	}
	return pods
}
