import math

import numpy as np
import pytest
from helpers import (
    NOT_A_BUDGET,
    NOT_A_GENERATOR,
    NOT_A_NUMBER,
    NOT_A_POSITIVE_COUNT,
    NOT_BINARY_LABELS,
    NOT_INPUTS,
    assert_refused,
    frozen,
    not_an_array,
    refusals,
)
from scipy.special import log_softmax, softmax

from adv_companion.attacks import accuracy, fgsm, pgd
from adv_companion.dann import DomainAdversarialNetwork, GradientReversal, ganin_schedule, proxy_a_distance
from adv_companion.datasets import two_moons
from adv_companion.models import MLP
from adv_companion.training import train

SIZES = {"feature_sizes": (2, 8), "label_sizes": (16, 2), "domain_hidden": (32,)}


def some_network(lambda_=0.7, seed=0, feature_sizes=(3, 5, 4), label_sizes=(6, 3), domain_hidden=(5,)):
    return DomainAdversarialNetwork(feature_sizes, label_sizes, domain_hidden, lambda_, np.random.default_rng(seed))


def some_data(n=7, seed=1):
    rng = np.random.default_rng(seed)
    return frozen(rng.standard_normal((n, 3)), rng.integers(0, 3, n), rng.standard_normal((n, 3)) + 0.5)


def losses(network, x_source, y_source, x_target):
    """Label loss and domain loss, written out layer by layer."""

    def through(x, net):
        for k, (weight, bias) in enumerate(zip(net.weights, net.biases)):
            x = np.einsum("ni,ij->nj", np.maximum(x, 0) if k else x, weight) + bias
        return x

    label = -log_softmax(through(x_source, network.classifier), axis=1)[np.arange(len(y_source)), y_source].mean()
    domain = 0
    for column, x in enumerate((x_source, x_target)):
        features = np.maximum(through(x, network.extractor), 0)
        domain -= log_softmax(through(features, network.domain_head), axis=1)[:, column].mean()
    return label, domain


# The layer.


@pytest.mark.claim("C43", "supports")
@pytest.mark.parametrize("lambda_", [0, 0.3, 1, 25.0])
def test_the_reversal_is_the_identity_forward_and_minus_lambda_backward(lambda_):
    layer, x = GradientReversal(lambda_), frozen(np.random.default_rng(0).standard_normal((5, 3)))
    np.testing.assert_array_equal(layer.forward(x), x)
    np.testing.assert_array_equal(layer.backward(x), [[-lambda_ * entry for entry in row] for row in x.tolist()])
    assert layer.lambda_ == lambda_ and repr(layer) == f"GradientReversal({float(lambda_)})"


@pytest.mark.claim("C43", "supports")
def test_no_function_has_the_reversals_gradient():
    # The derivative of the identity is +1: what the layer sends back belongs to no loss that the head could report.
    x, h = np.array([[0.3]]), 1e-6
    slope = (GradientReversal(2.0).forward(x + h) - GradientReversal(2.0).forward(x - h)) / (2 * h)
    assert slope == pytest.approx(1) and GradientReversal(2.0).backward(np.ones((1, 1))) == -2


# The network.


def test_the_parts_make_up_the_network():
    network, (x, y, _) = some_network(), some_data()
    assert [network.extractor.sizes, network.classifier.sizes] == [[3, 5, 4], [3, 5, 4, 6, 3]]
    assert network.domain_head.sizes == [4, 5, 2] and network.lambda_ == 0.7
    np.testing.assert_array_equal(network.classifier.params, MLP([3, 5, 4, 6, 3], np.random.default_rng(0)).params)
    np.testing.assert_array_equal(network.classifier.params[: len(network.extractor.params)], network.extractor.params)
    features = network.features(x)
    hidden = np.maximum(features @ network.classifier.weights[2] + network.classifier.biases[2], 0)
    logits = hidden @ network.classifier.weights[3] + network.classifier.biases[3]
    assert features.shape == (7, 4) and features.min() == 0 < features.max()
    np.testing.assert_allclose(network.logits(x), logits, rtol=1e-12)
    np.testing.assert_array_equal(network.predict(x), logits.argmax(axis=1))
    np.testing.assert_allclose(network.loss(x, y), -log_softmax(logits, axis=1)[np.arange(7), y], rtol=1e-12)
    np.testing.assert_array_equal(network.domain_predict(x), network.domain_head.logits(features).argmax(axis=1))


def test_the_domain_loss_is_the_sum_of_the_two_domains_means():
    network, (x, y, target) = some_network(), some_data()
    for other in (target, target[:2]):
        assert network.domain_loss(x, other) == pytest.approx(losses(network, x, y, other)[1], rel=1e-12)
    blind = network.with_params(0 * network.params)
    assert blind.domain_loss(x, target) == pytest.approx(2 * math.log(2), rel=1e-15)


def test_other_parameters_make_another_network_and_leave_this_one():
    network = some_network()
    before = network.params
    other = network.with_params(frozen(before + 1))
    np.testing.assert_array_equal(other.params, before + 1)
    np.testing.assert_array_equal(network.params, before)
    np.testing.assert_array_equal(other.extractor.params, before[: len(other.extractor.params)] + 1)
    assert other.lambda_ == network.lambda_


def test_a_domain_head_of_one_logit_cannot_be_made():
    # A softmax over one logit is 1 whatever it is: no answer, no gradient, and the extractor would learn nothing.
    np.testing.assert_array_equal(softmax(np.array([[-3.0], [8.0]]), axis=1), 1)
    for hidden in ((), (1,), (5, 1)):
        network, (x, y, target) = some_network(domain_hidden=hidden), some_data()
        assert network.domain_head.sizes[-1] == 2
        assert np.abs(network.gradients(x, y, target)[2]).max() > 1e-3
    with pytest.raises(ValueError, match="^sizes"):
        MLP([4, 1], np.random.default_rng(0))


# The gradients.


@pytest.mark.claim("X06", "supports")
@pytest.mark.claim("C43", "supports")
@pytest.mark.parametrize("sizes", [{}, {"domain_hidden": ()}, {"feature_sizes": (3, 4), "label_sizes": (3,)}], ids=str)
@pytest.mark.parametrize("lambda_", [0, 0.7, 3])
def test_each_network_descends_the_finite_difference_gradient_of_its_own_objective(lambda_, sizes):
    network, data = some_network(lambda_, **sizes), some_data()
    moved = 0.1 * np.random.default_rng(2).standard_normal(len(network.params))  # away from the kink of biases at 0
    network = network.with_params(network.params + moved)
    parts = network.gradients(*data)
    objectives = [lambda label, domain: label - lambda_ * domain, lambda label, domain: label, lambda _, domain: domain]
    start, h = 0, 1e-6
    for part, objective in zip(parts, objectives):
        slope = np.zeros(len(part))
        for i in range(len(part)):
            step = h * (np.arange(len(network.params)) == start + i)
            up, down = (objective(*losses(network.with_params(network.params + s), *data)) for s in (step, -step))
            slope[i] = (up - down) / (2 * h)
        np.testing.assert_allclose(part, slope, atol=1e-8)
        assert np.abs(part).max() > 1e-2
        start += len(part)
    assert start == len(network.params)


@pytest.mark.claim("X06", "limits")
@pytest.mark.claim("C43", "supports")
def test_lambda_scales_the_extractors_gradient_alone():
    data = some_data()
    none, some, twice = (some_network(lambda_).gradients(*data) for lambda_ in (0, 1.5, 3))
    for head in (1, 2):
        np.testing.assert_array_equal(none[head], some[head])
        np.testing.assert_array_equal(none[head], twice[head])
    np.testing.assert_allclose(twice[0] - none[0], 2 * (some[0] - none[0]), rtol=1e-9, atol=1e-14)
    assert np.abs(some[0] - none[0]).max() > 1e-2


def test_one_backward_pass_of_the_summed_gradients_gives_the_same():
    # What frameworks do: at the features the label head's gradient and the reversed one are added, then go down once.
    network, (x, y, target) = some_network(2.0), some_data()
    extractor, n = network.extractor, len(x)
    cut = len(extractor.params)
    label_head = MLP([4, 6, 3], np.random.default_rng(0)).with_params(network.classifier.params[cut:])
    both = np.concatenate([x, target])
    features = network.features(both)
    arriving = network.reversal.backward(network.domain_head.loss_and_input_grad(features, np.repeat([0, 1], n))[1] / n)
    arriving[:n] += label_head.loss_and_input_grad(features[:n], y)[1] / n
    once = extractor.param_grad(both, arriving * (features > 0))
    np.testing.assert_allclose(network.gradients(x, y, target)[0], once, rtol=1e-10, atol=1e-14)


def test_a_step_of_the_extractor_misleads_the_domain_head_and_a_step_of_the_head_corrects_it():
    network, (x, y, target) = some_network(50.0), some_data()
    to_extractor, to_label_head, to_domain_head = network.gradients(x, y, target)
    start, size = network.domain_loss(x, target), 1e-4
    for moved, uphill in (((to_extractor, 0 * to_label_head, 0 * to_domain_head), True),
                          ((0 * to_extractor, 0 * to_label_head, to_domain_head), False)):  # fmt: skip
        other = network.with_params(network.params - size * np.concatenate(moved))
        assert (other.domain_loss(x, target) > start) == uphill


def test_attacks_take_it_as_a_model():
    network, (x, y, _) = some_network(), some_data(40)
    loss, gradient = network.loss_and_input_grad(x, y)
    np.testing.assert_array_equal(loss, network.loss(x, y))
    for j, step in enumerate(1e-6 * np.eye(3)):
        np.testing.assert_allclose(
            gradient[:, j], (network.loss(x + step, y) - network.loss(x - step, y)) / 2e-6, atol=1e-7
        )


def test_attacks_lower_its_accuracy():
    pairs = rotated(0)
    network, (x, y) = trained(0, 1, pairs, epochs=100), pairs[2]
    clean, one, many = (accuracy(network, z, y) for z in (x, fgsm(network, x, y, 0.2), pgd(network, x, y, 0.2)))
    assert clean > 0.8 and max(one, many) < clean - 0.05


# The training.


def rotated(seed, degrees=35.0, n=300, n_test=1000):
    """Source and target to train on, then to test on."""
    rng = np.random.default_rng(seed)
    return [two_moons(size, rng, degrees=turn) for size in (n, n_test) for turn in (0, degrees)]


def trained(seed, lambda_, pairs, epochs=400):
    (x, y), (target, _) = pairs[:2]
    network = DomainAdversarialNetwork(**SIZES, lambda_=lambda_, rng=np.random.default_rng(seed))
    return network.fit(x, y, target, epochs=epochs, batch_size=300, lr=0.01, rng=np.random.default_rng(seed))


@pytest.mark.parametrize("batch_size", [7, 10, 64, 300])
def test_with_lambda_zero_the_classifier_is_that_of_ordinary_training_to_the_last_bit(batch_size):
    (x, y), (target, _) = rotated(0, n=60)[:2]
    options = {"epochs": 5, "batch_size": batch_size, "lr": 0.01}
    rng, rng_alone = np.random.default_rng(3), np.random.default_rng(3)
    alone = train(MLP([2, 8, 16, 2], np.random.default_rng(2)), x, y, rng=rng_alone, **options)
    start = DomainAdversarialNetwork(**SIZES, lambda_=0, rng=np.random.default_rng(2))
    for some_target in (target, target[:13], 100 * target):
        network = start.fit(x, y, some_target, rng=np.random.default_rng(3), **options)
        assert np.array_equal(network.classifier.params, alone.params)
    start.fit(x, y, target, rng=rng, **options)
    assert rng.bit_generator.state == rng_alone.bit_generator.state
    other = DomainAdversarialNetwork(**SIZES, lambda_=1e-6, rng=np.random.default_rng(2))
    assert not np.array_equal(other.fit(x, y, target, rng=rng, **options).classifier.params, alone.params)


def test_with_lambda_zero_the_domain_head_still_learns():
    pairs = rotated(0)
    network = trained(0, 0, pairs)
    assert network.domain_loss(pairs[2][0], pairs[3][0]) < 1.2 < 2 * math.log(2)
    guessed = [network.domain_predict(x).mean() for x, _ in pairs[2:]]
    assert guessed[0] < 0.35 and guessed[1] > 0.65


def test_training_changes_neither_the_network_nor_the_data_and_can_be_repeated():
    network, (x, y, target) = some_network(), some_data(20)
    before, seen = network.params, []
    options = {"epochs": 3, "batch_size": 8, "lr": 0.01}
    first, again = (
        network.fit(x, y, target, rng=np.random.default_rng(5), after_epoch=lambda *args: seen.append(args), **options)
        for _ in range(2)
    )
    np.testing.assert_array_equal(network.params, before)
    np.testing.assert_array_equal(first.params, again.params)
    assert [epoch for epoch, _ in seen] == [1, 2, 3, 1, 2, 3] and np.array_equal(seen[2][1].params, first.params)
    assert not np.array_equal(first.params, before)


def test_the_first_step_is_adams_on_the_three_gradients():
    network, (x, y, target) = some_network(), some_data(20)
    after = network.fit(x, y, target, epochs=1, batch_size=20, lr=0.01, rng=np.random.default_rng(5))
    gradient = np.concatenate(network.gradients(x, y, target))
    expected = network.params - 0.01 * np.sign(gradient) * (np.abs(gradient) > 1e-5)
    clear = (np.abs(gradient) > 1e-5) | (gradient == 0)
    np.testing.assert_allclose(after.params[clear], expected[clear], atol=1e-5)


def test_a_target_of_another_size_is_gone_through_evenly():
    network, (x, y, target) = some_network(0.0), some_data(12)
    for rows in (1, 5, 12):
        network.fit(x, y, target[:rows], epochs=2, batch_size=5, lr=0.01, rng=np.random.default_rng(0))
    seen = []

    class Spy(DomainAdversarialNetwork):
        def gradients(self, x_source, y_source, x_target):
            seen.append(x_target[:, 0])
            return super().gradients(x_source, y_source, x_target)

    spy = Spy((3, 4), (3,), (), 0.0, np.random.default_rng(0))
    spy.fit(x, y, target[:6], epochs=2, batch_size=5, lr=0.01, rng=np.random.default_rng(0))
    assert [len(batch) for batch in seen] == [4] * 6
    values, times = np.unique(np.concatenate(seen), return_counts=True)
    np.testing.assert_array_equal(values, np.sort(target[:6, 0]))
    np.testing.assert_array_equal(times, 4)


# The schedule.


def test_the_schedule_is_ganins():
    for p in np.linspace(0, 1, 21):
        assert ganin_schedule(p) == pytest.approx(2 / (1 + math.exp(-10 * p)) - 1, abs=1e-15)
    assert ganin_schedule(0) == 0 and ganin_schedule(0.5) == pytest.approx(0.9866, abs=1e-4)


def test_a_schedule_scales_lambda_over_the_course_of_training():
    network, (x, y, target) = some_network(0.7), some_data(20)
    asked = []

    def run(lambda_, schedule):
        options = {"epochs": 3, "batch_size": 8, "lr": 0.01, "rng": np.random.default_rng(5), "schedule": schedule}
        return some_network(lambda_).fit(x, y, target, **options)

    plain = run(0.7, None)
    assert np.array_equal(plain.params, run(0.7, lambda p: asked.append(p) or 1.0).params)
    np.testing.assert_allclose(asked, np.arange(9) / 9, atol=1e-15)
    assert np.array_equal(plain.params, run(0.35, lambda p: 2).params)
    assert np.array_equal(run(0.0, None).params, run(0.7, lambda p: 0).params)
    ramped = run(0.7, ganin_schedule)
    assert ramped.lambda_ == network.lambda_ and not np.array_equal(ramped.params, plain.params)


# The distance between domains.


def test_the_proxy_distance_is_near_0_for_one_law_and_2_for_laws_apart():
    draw = np.random.default_rng(0)
    one, same, apart = (draw.standard_normal((400, 3)) + shift for shift in (0, 0, 20))
    assert abs(proxy_a_distance(*frozen(one, same), np.random.default_rng(1))) < 0.25
    assert proxy_a_distance(one, apart, np.random.default_rng(1)) == 2
    np.testing.assert_allclose(proxy_a_distance(0 * one, 0 * one, np.random.default_rng(1)), 0, atol=1e-12)
    first, again = (proxy_a_distance(one, 1e6 * one, np.random.default_rng(1)) for _ in range(2))
    assert first == again > 1.5


def test_the_proxy_distance_of_two_normal_laws_comes_near_the_best_possible():
    # Laws N(0, 1) and N(2, 1): no classifier errs less than Phi(-1) = 0.1587, and 2 (1 - 2 * 0.1587) = 1.365.
    draw = np.random.default_rng(0)
    distances = [
        proxy_a_distance(draw.standard_normal((2000, 1)), draw.standard_normal((2000, 1)) + 2, draw) for _ in range(4)
    ]
    assert np.mean(distances) == pytest.approx(1.365, abs=0.06)


# What the page claims.


def apart(network, pairs):
    """The proxy distance of the features of new points."""
    source, target = (network.features(x) for x, _ in pairs[2:])
    return proxy_a_distance(source, target, np.random.default_rng(0))


@pytest.mark.claim("C44", "supports")
def test_features_that_are_harder_to_tell_apart_transfer_better_across_a_turn_of_35_degrees():
    right, distance = [], []
    for seed in range(5):
        pairs = rotated(seed)
        networks = [trained(seed, lambda_, pairs) for lambda_ in (0, 1, 3)]
        right.append([accuracy(network, *pairs[3]) for network in networks])
        distance.append([apart(network, pairs) for network in networks])
        assert min(accuracy(network, *pairs[2]) for network in networks) > 0.9
    before, *after = np.mean(right, axis=0)
    assert before < 0.8 < min(after) and min(after) - before > 0.07
    before, _, after = np.mean(distance, axis=0)
    assert after < before - 0.25


@pytest.mark.claim("C44", "limits")
@pytest.mark.parametrize("lambda_", [0, 1])
def test_after_half_a_turn_nothing_tells_the_domains_apart_and_nearly_every_label_is_wrong(lambda_):
    for seed in range(3):
        pairs = rotated(seed, degrees=180)
        network = trained(seed, lambda_, pairs)
        (x, y), (target, z) = pairs[2:]
        assert abs(proxy_a_distance(x, target, np.random.default_rng(0))) < 0.2  # with no network at all
        assert abs(apart(network, pairs)) < 0.2
        assert accuracy(network, x, y) > 0.95 and accuracy(network, target, z) < 0.05
        assert accuracy(network, target, 1 - z) > 0.95  # the same points, the labels exchanged


@pytest.mark.claim("C44", "limits")
@pytest.mark.parametrize("lambda_", [0, 1, 10])
def test_with_other_class_shares_a_predictor_that_answers_alike_errs_on_one_side(lambda_):
    share = 0.9
    rng = np.random.default_rng(0)
    (x, y), (pool, labels) = two_moons(300, rng), two_moons(2000, rng)
    rows = np.concatenate([np.flatnonzero(labels == 1)[:270], np.flatnonzero(labels == 0)[:30]])
    target, z = pool[rows], labels[rows]
    network = trained(0, lambda_, [(x, y), (target, z)])
    errors = 2 - accuracy(network, x, y) - accuracy(network, target, z)
    answers = network.predict(target).mean() - network.predict(x).mean()
    assert errors >= (share - 0.5) - answers - 1e-12  # if the shares of answers agree, the errors add up to 0.4
    if lambda_ == 10:
        assert errors > 0.1


# Bad input.

SOURCE, TARGET = np.arange(4.0).reshape(2, 2), np.arange(4.0).reshape(2, 2) + 1
NET = DomainAdversarialNetwork((2, 3), (2,), (), 1.0, np.random.default_rng(0))
PARAMS = NET.params
GRADIENT = {"x_source": SOURCE, "y_source": [0, 1], "x_target": TARGET}
RNG = np.random.default_rng(0)
FIT = GRADIENT | {"epochs": 1, "batch_size": 2, "lr": 0.1, "rng": np.random.default_rng(0), "schedule": lambda p: 1}
NOT_SIZES = {"number": 3, "text": "23", "None": None, "zero": (2, 0), "fraction": (2, 2.5), "bool": (2, True)}
NOT_X = NOT_INPUTS | {"other width": np.ones((2, 3))}
NOT_ENOUGH = {"empty": ()}

REFUSED = [
    *refusals(GradientReversal, {"lambda_": 1.0}, lambda_=NOT_A_BUDGET),
    *refusals(GradientReversal(1.0).forward, {"features": np.ones((2, 3))}, features=not_an_array(2, 3)),
    *refusals(GradientReversal(1.0).backward, {"gradient": np.ones((2, 3))}, gradient=not_an_array(2, 3)),
    *refusals(
        DomainAdversarialNetwork,
        {"feature_sizes": (2, 3), "label_sizes": (2,), "domain_hidden": (), "lambda_": 1, "rng": RNG},
        feature_sizes=NOT_SIZES | NOT_ENOUGH | {"one": (2,)},
        label_sizes=NOT_SIZES | NOT_ENOUGH | {"one class": (4, 1)},
        domain_hidden=NOT_SIZES,
        lambda_=NOT_A_BUDGET,
    ),
    *refusals(NET.with_params, {"params": PARAMS}, params=not_an_array(len(PARAMS)) | {"short": PARAMS[1:]}),
    *refusals(NET.domain_loss, {"x_source": SOURCE, "x_target": TARGET}, x_source=NOT_X, x_target=NOT_X),
    *refusals(
        NET.gradients,
        GRADIENT,
        x_source=NOT_X,
        y_source=NOT_BINARY_LABELS,
        x_target=NOT_X | {"fewer rows": TARGET[:1]},
    ),
    *refusals(
        NET.fit,
        FIT,
        x_source=NOT_X,
        y_source=NOT_BINARY_LABELS,
        x_target=NOT_X,
        epochs=NOT_A_POSITIVE_COUNT,
        batch_size=NOT_A_POSITIVE_COUNT,
        lr=NOT_A_BUDGET | {"zero": 0},
        rng=NOT_A_GENERATOR,
        schedule={"number": 1.0, "text": "ganin"}
        | {"negative": lambda p: -1, "nan": lambda p: math.nan, "None": lambda p: None},
    ),
    *refusals(ganin_schedule, {"progress": 0.5}, progress=NOT_A_NUMBER | {"negative": -0.1, "percent": 50}),
    *refusals(
        proxy_a_distance,
        {"source": np.ones((4, 2)), "target": np.ones((4, 2)), "rng": np.random.default_rng(0)},
        source=not_an_array(4, 2) | {"three rows": np.ones((3, 2))},
        target=not_an_array(4, 2) | {"fewer rows": np.ones((3, 2)), "other width": np.ones((4, 3))},
        rng=NOT_A_GENERATOR,
    ),
]


@pytest.mark.parametrize("function, good, name, value", REFUSED)
def test_bad_input_is_refused(function, good, name, value):
    assert_refused(function, good, name, value)


@pytest.mark.parametrize("rng", NOT_A_GENERATOR.values(), ids=NOT_A_GENERATOR)
def test_a_seed_is_no_generator_of_weights(rng):
    with pytest.raises(ValueError, match="^rng"):
        DomainAdversarialNetwork((2, 3), (2,), (), 1.0, rng)
