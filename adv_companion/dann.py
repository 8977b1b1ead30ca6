"""Domain adaptation: features from which an adversary cannot tell source from target (section 62.4.1)."""

import copy
import math

import numpy as np

from adv_companion import _checks
from adv_companion.models import MLP, Network
from adv_companion.training import Adam, train


class GradientReversal:
    """A layer that changes nothing on the way forward, and on the way back multiplies the gradient by -lambda.

    Parameters: ``lambda_`` >= 0, a number without unit; at 0 no gradient comes through.
    Raises ValueError where it is none. Section 62.4.1; Ganin et al. (2016).
    """

    def __init__(self, lambda_):
        self.lambda_ = _checks.real("lambda_", lambda_, low=0)

    def __repr__(self):
        return f"GradientReversal({self.lambda_})"

    def forward(self, features):
        """The features (n, f) that come in. Raises ValueError if they are not a finite array of that shape."""
        return _checks.floats("features", features, ndim=2)

    def backward(self, gradient):
        """-lambda times the gradient (n, f) that arrives from above. Raises ValueError as ``forward`` does."""
        return -self.lambda_ * _checks.floats("gradient", gradient, ndim=2)


class DomainAdversarialNetwork:
    """A classifier whose features serve a label head and mislead a domain head.

    Three networks. The extractor minimises label loss - lambda * domain loss; the label head minimises the label loss,
    the domain head the domain loss, *without* lambda. The label loss is the mean cross-entropy of the source's labels.
    The domain loss is that of telling source (0) from target (1): the source's mean plus the target's mean, 2 log 2
    nats for a head that cannot tell.

    It is a *model* in the sense of ``adv_companion.models``, by its label path: attacks take it as it is.

    Parameters: ``feature_sizes`` (d, ..., f), at least two integers >= 1, from the inputs to the features, a ReLU after
    each layer; ``label_sizes`` (..., k), hidden layers of the label head, then k >= 2 classes; ``domain_hidden``,
    hidden layers of the domain head, ``()`` for a linear one. Its two logits come on top by themselves: a softmax over
    a single one is the constant 1, and teaches nothing. ``lambda_`` >= 0; ``rng`` a ``numpy.random.Generator`` for the
    weights, drawn as for ``MLP([*feature_sizes, *label_sizes], rng)``, which ``classifier`` is, and then for the
    ``domain_head``, an ``MLP`` too.
    Raises ValueError where an argument is none of these. Section 62.4.1; Ganin et al. (2016).
    """

    def __init__(self, feature_sizes, label_sizes, domain_hidden, lambda_, rng):
        feature_sizes = _checks.sizes("feature_sizes", feature_sizes, at_least=2)
        label_sizes = _checks.sizes("label_sizes", label_sizes, at_least=1)
        domain_hidden = _checks.sizes("domain_hidden", domain_hidden, at_least=0)
        if label_sizes[-1] < 2:
            raise ValueError(f"label_sizes must end with the number of classes, at least 2, got {label_sizes}")
        self.reversal = GradientReversal(lambda_)
        self.classifier = MLP([*feature_sizes, *label_sizes], rng)
        self.domain_head = MLP([feature_sizes[-1], *domain_hidden, 2], rng)
        self._form = Network(feature_sizes, np.random.default_rng(0))  # of the extractor; its numbers are not used
        self._cut = len(self._form.params)  # the extractor's share of the classifier's parameters

    @property
    def lambda_(self):
        """How much it matters to the extractor that the domain head fails."""
        return self.reversal.lambda_

    @property
    def params(self):
        """All parameters as one vector: extractor, label head, domain head."""
        return np.concatenate([self.classifier.params, self.domain_head.params])

    def with_params(self, params):
        """A network of the same sizes and the same lambda with other parameters, a vector like ``params``."""
        params = _checks.floats("params", params, ndim=1, shape=self.params.shape)
        other, cut = copy.copy(self), len(self.classifier.params)
        other.classifier = self.classifier.with_params(params[:cut])
        other.domain_head = self.domain_head.with_params(params[cut:])
        return other

    @property
    def extractor(self):
        """The first layers of the classifier, a ``Network`` (d, ..., f) before its last ReLU."""
        return self._form.with_params(self.classifier.params[: self._cut])

    def features(self, x):
        """What both heads see of inputs (n, d): (n, f), none below 0."""
        return np.maximum(self.extractor.outputs(x), 0)

    def logits(self, x):
        """Scores (n, k) of inputs (n, d)."""
        return self.classifier.logits(x)

    def predict(self, x):
        """Labels (n,) of inputs (n, d)."""
        return self.classifier.predict(x)

    def loss(self, x, y):
        """Label losses (n,), in nats, of inputs (n, d) with labels (n,) from 0 to k - 1."""
        return self.classifier.loss(x, y)

    def loss_and_input_grad(self, x, y):
        """The label losses (n,) and their gradients (n, d) with respect to the inputs."""
        return self.classifier.loss_and_input_grad(x, y)

    def domain_predict(self, x):
        """What the domain head takes inputs (n, d) for: (n,), 0 for source and 1 for target."""
        return self.domain_head.predict(self.features(x))

    def domain_loss(self, x_source, x_target):
        """The domain loss, a number in nats, on inputs (n, d) of the source and (m, d) of the target.

        Raises ValueError if either is not a finite array of that shape.
        """
        pair = zip((0, 1), self._pair(x_source, x_target))
        return float(sum(self.domain_head.loss(self.features(x), np.full(len(x), domain)).mean() for domain, x in pair))

    def gradients(self, x_source, y_source, x_target):
        """What each of the three networks descends, one vector each: extractor, label head, domain head.

        The extractor's is the gradient of label loss - lambda * domain loss. The three together are like ``params``.

        Parameters: ``x_source`` (n, d), its labels ``y_source`` (n,), and ``x_target`` (n, d), labels not needed.
        Raises ValueError where an argument is none of these. Section 62.4.1; Ganin et al. (2016).
        """
        x_source, x_target = self._pair(x_source, x_target, same_rows=True)
        y_source, n = self._labels(y_source, len(x_source)), len(x_source)
        _, label_gradient = self.classifier.loss_and_param_grad(x_source, y_source)
        to_extractor, to_label_head = np.split(label_gradient, [self._cut])

        x, domain = np.concatenate([x_source, x_target]), np.repeat([0, 1], n)
        outputs, pullback = self.extractor.outputs_and_pullback(x)
        features = self.reversal.forward(np.maximum(outputs, 0))
        head = self.domain_head
        _, to_domain_head, to_features = head.loss_and_both_grads(features, domain)
        passed_on = self.reversal.backward(to_features / n) * (outputs > 0)  # ReLU
        to_extractor = to_extractor + pullback(passed_on)
        return to_extractor, to_label_head, 2 * to_domain_head  # two means added

    def fit(self, x_source, y_source, x_target, *, epochs, batch_size, lr, rng, schedule=None, after_epoch=None):
        """Let the three networks descend at once, by Adam on minibatches. Returns the trained network; this one stays.

        An epoch passes over the source once, in the order that ``train`` would take with the same ``rng``. Beside each
        minibatch lies one of the target, as large, from a stream of its own. So the target reaches the label path
        through the reversed gradient only, and with lambda = 0 the ``classifier`` is ``train``'s to the last bit.

        Parameters: ``x_source`` (n, d), ``y_source`` (n,), ``x_target`` (m, d), gone through in random order as often
        as n needs; ``epochs``, ``batch_size``, ``lr``, ``rng``, ``after_epoch`` as for ``train``; ``schedule`` None, or
        a function from progress in [0, 1) to a factor >= 0 of lambda, such as ``ganin_schedule``.
        Raises ValueError where an argument is none of these. Section 62.4.1; Ganin et al. (2016).
        """
        x_source, x_target = self._pair(x_source, x_target)
        y_source = self._labels(y_source, len(x_source))
        epochs, batch_size = _checks.count("epochs", epochs, low=1), _checks.count("batch_size", batch_size, low=1)
        _checks.function("schedule", schedule, optional=True), _checks.function("after_epoch", after_epoch, optional=True)
        target_rng = _checks.generator("rng", rng).spawn(1)[0]  # a spawned stream costs its parent no draws
        adam, network, batches = Adam(lr), copy.copy(self), math.ceil(len(x_source) / batch_size)
        for epoch in range(1, epochs + 1):
            order = rng.permutation(len(x_source))
            others = np.resize(target_rng.permutation(len(x_target)), len(order))
            for batch, (rows, beside) in enumerate(np.array_split(np.stack([order, others]), batches, axis=1)):
                if schedule is not None:
                    factor = schedule((epoch - 1 + batch / batches) / epochs)
                    factor = _checks.real("schedule(progress)", factor, low=0)
                    network.reversal = GradientReversal(self.lambda_ * factor)
                gradients = network.gradients(x_source[rows], y_source[rows], x_target[beside])
                network = network.with_params(adam.descend(network.params, np.concatenate(gradients)))
            if after_epoch is not None:
                after_epoch(epoch, network)
        network.reversal = self.reversal
        return network

    def _labels(self, y_source, n):
        return _checks.labels("y_source", y_source, n, self.classifier.sizes[-1])

    def _pair(self, x_source, x_target, same_rows=False):
        features = self.classifier.sizes[0]
        x_source = _checks.floats("x_source", x_source, ndim=2, shape=(None, features))
        rows = len(x_source) if same_rows else None
        return x_source, _checks.floats("x_target", x_target, ndim=2, shape=(rows, features))


def ganin_schedule(progress):
    """The factor of lambda after a share ``progress`` of the training: 2 / (1 + exp(-10 p)) - 1, from 0 almost to 1.

    At first the features learn the labels undisturbed. Returns a float in [0, 1), 0.9866 half way.
    Raises ValueError for a ``progress`` outside [0, 1]. Section 62.4.1; Ganin et al. (2016).
    """
    return math.tanh(5 * _checks.real("progress", progress, low=0, high=1))  # the same function


def proxy_a_distance(source, target, rng):
    """How far apart two sets of features are: 2 (1 - 2 err), err being the error of telling them apart.

    A new network (one hidden layer of 16 units) learns to tell one half of them apart; its error on the other half
    counts. So 2 means that it never errs, and 0 that it guesses; a little below 0 is luck. A better classifier may find
    more.

    Parameters: ``source``, ``target`` (n, f) float with n >= 4, the same n; ``rng`` a ``numpy.random.Generator`` for
    the halves, the weights and the order. Returns a float in [-2, 2].
    Raises ValueError where an argument is none of these. Section 62.4.1; Ben-David et al. (2007).
    """
    source = _checks.floats("source", source, ndim=2)
    if len(source) < 4:
        raise ValueError(f"source must have at least 4 rows, two to learn from and two to test, got {len(source)}")
    target = _checks.floats("target", target, ndim=2, shape=source.shape)
    rng, half = _checks.generator("rng", rng), len(source) // 2
    source, target = rng.permutation(source), rng.permutation(target)
    x, x_new = (np.concatenate([source[rows], target[rows]]) for rows in (slice(half), slice(half, None)))
    center, unit = x.mean(axis=0), x.std(axis=0)
    x, x_new = ((z - center) / np.where(unit > 0, unit, 1) for z in (x, x_new))
    domain, domain_new = (np.repeat([0, 1], len(z) // 2) for z in (x, x_new))
    net = train(MLP([x.shape[1], 16, 2], rng), x, domain, epochs=30, batch_size=64, lr=0.01, rng=rng)
    return float(2 * (1 - 2 * np.mean(net.predict(x_new) != domain_new)))
