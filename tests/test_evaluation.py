import itertools
import math

import numpy as np
import pytest
from helpers import NOT_A_COUNT, NOT_A_GENERATOR, NOT_A_NUMBER, NOT_A_BUDGET, NOT_A_POSITIVE_COUNT, NOT_AN_EXPONENT
from helpers import NOT_BINARY_LABELS, NOT_INPUTS, NOT_LABELS, assert_refused, frozen, refusals

from adv_companion.attacks import accuracy, fgsm, pgd
from adv_companion.datasets import digits
from adv_companion.evaluation import PassCounter, Rounded, Sign, masking_report, rotate_images, shift_images
from adv_companion.evaluation import sign_search, worst_case
from adv_companion.models import MLP, LogisticRegression
from adv_companion.training import train

LEVEL = 1 / 16  # the images have 17 grey levels: rounding to them changes no image
EPS = 3 * LEVEL
BOX = (0, 1)


@pytest.fixture(scope="module")
def on_digits():
    """A standard network, another of another seed, a robust one, and 200 test images with their labels."""
    x, y, x_test, y_test = digits()

    def fit(seed, epochs, attack=None):
        rng = np.random.default_rng(seed)
        return train(MLP([64, 64, 10], rng), x, y, epochs=epochs, batch_size=64, lr=5e-3, rng=rng, attack=attack)

    def attack(model, x, y):
        return pgd(model, x, y, EPS, steps=5, random_start=False, bounds=BOX)

    return {"standard": fit(0, 15), "other": fit(1, 15), "robust": fit(0, 15, attack)}, x_test[:200], y_test[:200]


class Cube:
    """A two-class model whose worst corner is known: the loss is c.x, or with ``flat`` the integer part of 10 c.x."""

    def __init__(self, c, flat=False):
        self.c, self.flat, self.asked = np.asarray(c), flat, 0

    def loss(self, x, y):
        self.asked += 1
        score = x @ self.c
        return np.floor(10 * score) if self.flat else score


# The four signs.


def present(signs):
    return [sign.present for sign in signs]


@pytest.mark.claim("C59", "supports")
def test_a_model_that_masks_shows_all_four_signs(on_digits):
    models, x, y = on_digits
    signs = masking_report(Rounded(models["standard"], LEVEL), x, y, EPS, bounds=BOX, substitute=models["other"])
    assert [sign.label for sign in signs] == ["(i)", "(ii)", "(iii)", "(iv)"]
    assert present(signs) == [True] * 4


@pytest.mark.claim("C59", "supports")
@pytest.mark.parametrize("name", ["standard", "robust"])
def test_a_model_that_masks_nothing_shows_none(on_digits, name):
    models, x, y = on_digits
    signs = masking_report(models[name], x, y, EPS, bounds=BOX, substitute=models["other"])
    assert present(signs) == [False] * 4


@pytest.mark.claim("C59", "limits")
def test_a_linear_model_shows_the_second_sign_and_masks_nothing():
    rng = np.random.default_rng(2)
    x = rng.standard_normal((300, 5))
    y = (x @ np.arange(1, 6) > 0).astype(int)
    model = LogisticRegression(np.arange(1, 6), 0.0)
    signs = masking_report(model, x, y, 0.2, substitute=LogisticRegression(np.arange(2, 7), 0.0))
    assert present(signs) == [False, True, False, False]


@pytest.mark.claim("C59", "limits")
def test_a_tiny_gradient_shows_the_first_sign_and_stops_no_sign_attack(on_digits):
    models, x, y = on_digits
    steep = Rounded(models["standard"], LEVEL, steepness=1000)
    signs = masking_report(steep, x, y, EPS, bounds=BOX, substitute=models["other"])
    assert present(signs) == [True, False, False, False]
    assert 0 < signs[0].numbers["median gain"] < 1e-200


def test_the_report_measures_what_it_says(on_digits):
    models, x, y = on_digits
    model = models["robust"]
    gain, single, far, black = (sign.numbers for sign in masking_report(model, x, y, EPS, 2, BOX, models["other"]))
    _, gradient = model.loss_and_input_grad(x, y)
    assert gain["median gain"] == pytest.approx(EPS * np.median(np.linalg.norm(gradient, axis=1)))
    assert single["FGSM"] == accuracy(model, fgsm(model, x, y, EPS, 2, BOX), y)
    rng = np.random.default_rng(0)
    again = [pgd(source, x, y, eps, 2, restarts=2, bounds=BOX, rng=rng)
             for source, eps in ((model, EPS), (model, 8.0), (models["other"], EPS))]  # fmt: skip
    assert single["PGD"] == accuracy(model, pgd(model, x, y, EPS, 2, random_start=False, bounds=BOX), y)
    assert [black["PGD"], far["PGD"], black["transfer"]] == [accuracy(model, z, y) for z in again]
    assert far["eps"] == 8.0  # the diagonal of the box [0, 1]^64


def test_without_a_substitute_the_fourth_sign_is_not_tried_and_without_a_box_far_is_beyond_the_data():
    model, x, y = LogisticRegression([1.0], 0.0), np.array([[-3.0], [1.0]]), np.array([0, 1])
    signs = masking_report(model, x, y, 0.5)
    assert signs[3].present is None and "not tried" in str(signs[3])
    assert signs[2].numbers["eps"] == 12.0  # from -3 - 4 to 1 + 4
    assert signs[2].numbers["PGD"] == 0


def test_nothing_is_suspect_about_a_second_sign_where_no_accuracy_is_left():
    model, x, y = LogisticRegression([1.0], 0.0), np.array([[-0.1], [0.1]]), np.array([0, 1])
    assert masking_report(model, x, y, 0.5)[1] == Sign("(ii)", "steps gain nothing", {"FGSM": 0, "PGD": 0}, False)


@pytest.mark.parametrize("blind, present", [(1, False), (2, False), (3, True)])
def test_transfer_must_win_by_more_than_two_points(blind, present):
    class Sighted:
        def predict(self, x):
            return (x[:, 0] > 0).astype(int)

        def loss(self, x, y):
            return np.where(y == 1, -x[:, 0], x[:, 0])

        def loss_and_input_grad(self, x, y):
            return self.loss(x, y), np.where(y == 1, -1.0, 1.0)[:, None] * [1.0, 0.0] * self.sees(x)

        def sees(self, x):
            return 1.0

    class Blind(Sighted):
        def sees(self, x):
            return (x[:, 1:] > 10 * blind - 5).astype(float)

    x = np.stack([np.full(100, 0.3), 10.0 * np.arange(100)], axis=1)  # a random start hardly ever crosses 0
    signs = masking_report(Blind(), x, np.ones(100, dtype=int), 0.301, substitute=Sighted())
    assert signs[3].numbers["transfer"] == 0
    assert signs[3].numbers["PGD"] == blind / 100
    assert signs[3].present is present


def test_the_second_sign_compares_steps_from_the_same_start(on_digits):
    models, x, y = on_digits
    signs = masking_report(Rounded(models["standard"], LEVEL), x, y, EPS, bounds=BOX)
    assert signs[1].numbers["FGSM"] == signs[1].numbers["PGD"] == accuracy(models["standard"], x, y)


def test_a_sign_prints_as_a_line_of_a_table():
    lines = [str(Sign("(i)", "gradients near zero", {"median gain": 3e-9}, True))]
    lines += [str(Sign("(iv)", "transfer beats white box", {"PGD": 0.951, "transfer": 0.0}, False))]
    assert lines[0].split() == ["(i)", "gradients", "near", "zero", "median", "gain", "3e-09", "YES"]
    assert lines[1].endswith("PGD 0.95, transfer 0.00     no")
    assert all(len(line) <= 80 for line in lines)


# A defence that rounds.


@pytest.mark.parametrize("steepness", [5.0, 20.0])
def test_the_gradient_of_the_staircase_is_its_own(steepness):
    rng = np.random.default_rng(3)
    model = Rounded(MLP([6, 8, 3], rng), 0.25, steepness)
    x, y = rng.uniform(-1, 1, (20, 6)), rng.integers(0, 3, 20)
    loss, gradient = model.loss_and_input_grad(x, y)
    np.testing.assert_array_equal(loss, model.loss(x, y))
    for i in range(6):
        step = 1e-6 * np.eye(6)[i]
        slope = (model.loss(x + step, y) - model.loss(x - step, y)) / 2e-6
        np.testing.assert_allclose(gradient[:, i] * 0.25, slope * 0.25, rtol=1e-5, atol=1e-7)


def test_a_steep_staircase_rounds_and_has_no_slope():
    x = np.linspace(-1, 1, 41)[:, None] + 0.01
    model = Rounded(LogisticRegression([2.0], 0.1), 0.25)
    np.testing.assert_allclose(model.staircase(x), 0.25 * np.round(x / 0.25), atol=1e-12)
    assert not model.loss_and_input_grad(x, np.zeros(41, dtype=int))[1].any()
    np.testing.assert_array_equal(model.predict(x), (2 * model.staircase(x) + 0.1 > 0)[:, 0])
    np.testing.assert_array_equal(model.logits(x)[:, 1], 2 * model.staircase(x)[:, 0] + 0.1)


def test_rounding_to_the_grey_levels_changes_no_image_and_no_answer(on_digits):
    models, x, y = on_digits
    model = Rounded(models["standard"], LEVEL)
    np.testing.assert_array_equal(model.staircase(x), x)
    np.testing.assert_array_equal(model.logits(x), models["standard"].logits(x))


@pytest.mark.claim("C19", "supports")
@pytest.mark.claim("C46", "supports")
def test_rounding_holds_against_gradients_and_falls_to_transfer_and_to_search(on_digits):
    models, x, y = on_digits
    model = Rounded(models["standard"], LEVEL)
    clean = accuracy(model, x, y)
    held = [fgsm(model, x, y, EPS, bounds=BOX), pgd(model, x, y, EPS, bounds=BOX, restarts=3)]
    broken = [pgd(models["other"], x, y, EPS, bounds=BOX), sign_search(model, x, y, EPS, 300, BOX)]
    assert min(accuracy(model, z, y) for z in held) > clean - 0.1
    assert max(accuracy(model, z, y) for z in broken) < 0.2
    # Nothing was protected: on the corners that whole grey levels reach, it is the bare model.
    bare = models["standard"]
    z = sign_search(bare, x, y, EPS, 300, BOX)
    np.testing.assert_array_equal(model.predict(z), bare.predict(z))


# The search without gradients.


@pytest.mark.parametrize("flat", [False, True])
def test_the_search_finds_the_worst_corner(flat):
    rng = np.random.default_rng(4)
    model, x = Cube(rng.standard_normal(8), flat), rng.uniform(0.3, 0.7, (6, 8))
    y = np.zeros(6, dtype=int)
    corners = 0.3 * np.array(list(itertools.product([-1, 1], repeat=8)))
    worst = np.max([model.loss(x + corner, y) for corner in corners], axis=0)
    model.asked = 0
    found = sign_search(model, x, y, 0.3, queries=400)
    assert model.asked == 401
    np.testing.assert_allclose(model.loss(found, y), worst, rtol=1e-12)


def test_the_search_stays_in_ball_and_box_and_leaves_its_inputs():
    rng = np.random.default_rng(5)
    x, y = frozen(rng.uniform(0, 1, (5, 4)), np.zeros(5, dtype=int))
    found = sign_search(Cube([1.0, -2.0, 0.5, 3.0]), x, y, 0.3, 50, bounds=BOX)
    assert np.abs(found - x).max() <= 0.3 and found.min() >= 0 and found.max() <= 1
    np.testing.assert_array_equal(sign_search(Cube([1.0, 0, 0, 0]), x, y, 0, 5), x)


def test_the_first_round_of_the_search_draws_every_side():
    x = np.zeros((20, 9))
    found = sign_search(Cube(np.arange(1.0, 10.0)), x, np.zeros(20, dtype=int), 0.5, queries=1)
    moved = (found != 0).any(axis=1)
    assert 5 <= moved.sum() <= 15
    np.testing.assert_array_equal(np.abs(found[moved]), 0.5)


def test_the_search_keeps_the_clean_point_where_nothing_is_worse():
    class Bowl:
        def loss(self, x, y):
            return -np.square(x).sum(axis=1)

    x = np.zeros((3, 4))
    np.testing.assert_array_equal(sign_search(Bowl(), x, [0, 0, 0], 0.5, 20), x)


def test_the_search_repeats_itself_and_no_row_depends_on_the_later():
    rng = np.random.default_rng(6)
    model = MLP([5, 8, 3], rng)
    x, y = rng.standard_normal((10, 5)), rng.integers(0, 3, 10)
    found = sign_search(model, x, y, 0.4, 30)
    np.testing.assert_array_equal(found, sign_search(model, x, y, 0.4, 30))
    np.testing.assert_array_equal(found[:4], sign_search(model, x[:4], y[:4], 0.4, 30))
    other = sign_search(model, x, y, 0.4, 30, rng=np.random.default_rng(1))
    assert (found != other).any()
    assert (model.loss(sign_search(model, x, y, 0.4, 200), y) >= model.loss(x, y)).all()


def test_the_search_comes_close_to_pgd_where_gradients_are_honest(on_digits):
    models, x, y = on_digits
    for name in ("standard", "robust"):
        found = accuracy(models[name], sign_search(models[name], x, y, EPS, 500, BOX), y)
        assert abs(found - accuracy(models[name], pgd(models[name], x, y, EPS, bounds=BOX), y)) < 0.05


# What falls outside the ball, and budgets without end.


@pytest.mark.claim("C48", "supports")
def test_a_shift_by_one_pixel_defeats_the_robust_network(on_digits):
    models, x, y = on_digits
    model = models["robust"]
    inside = accuracy(model, pgd(model, x, y, EPS, bounds=BOX), y)
    moves = [shift_images(x, *move) for move in itertools.product((-1, 0, 1), repeat=2)]
    assert accuracy(model, worst_case(model, x, y, moves), y) < inside - 0.2
    assert np.median(np.abs(moves[1] - x).max(axis=1)) > 4 * EPS


def test_a_model_that_does_not_look_at_places_is_not_hurt_by_a_shift():
    class Ink:
        def predict(self, x):
            return (x.sum(axis=1) > 2).astype(int)

        def loss(self, x, y):
            return np.where(self.predict(x) == y, 0.0, 1.0)

    x = np.zeros((2, 16))
    x[0, 5], x[1, [5, 6, 9]] = 1, 1  # ink in the middle, so that a shift loses none
    moves = [shift_images(x, *move) for move in itertools.product((-1, 0, 1), repeat=2)]
    assert accuracy(Ink(), worst_case(Ink(), x, [0, 1], moves), [0, 1]) == 1


@pytest.mark.claim("C60", "supports")
def test_an_unbounded_attacker_replaces_the_image(on_digits):
    models, x, y = on_digits
    model, steps = models["robust"], [EPS, 0.5, 1.0]
    left = [accuracy(model, pgd(model, x, y, eps, bounds=BOX), y) for eps in steps]
    assert left[0] > 0.3 and left[2] == 0
    for masked in (model, Rounded(models["standard"], LEVEL)):  # a masked gradient does not help against replacement
        others = [np.broadcast_to(x[np.argmax(y == k)], x.shape) for k in range(10)]
        assert accuracy(masked, worst_case(masked, x, y, others), y) == 0


@pytest.mark.claim("C60", "limits")
def test_against_an_answer_that_never_changes_no_attacker_wins_where_it_is_right(on_digits):
    _, x, y = on_digits
    constant = LogisticRegression(np.zeros(64), 1.0)
    zeros_and_ones = (y < 5).astype(int)
    z = pgd(constant, x, zeros_and_ones, 1.0, bounds=BOX)
    assert accuracy(constant, z, zeros_and_ones) == accuracy(constant, x, zeros_and_ones) > 0


@pytest.mark.claim("C45", "supports")
def test_one_model_has_as_many_robust_accuracies_as_there_are_threat_models(on_digits):
    models, x, y = on_digits
    model = models["robust"]
    left = {(p, eps): accuracy(model, pgd(model, x, y, eps, p, bounds=BOX), y)
            for p, eps in ((math.inf, 0.05), (math.inf, 0.4), (2, 0.2), (1, 0.2))}  # fmt: skip
    assert left[math.inf, 0.4] < 0.1 < 0.8 < left[math.inf, 0.05]
    assert min(left[2, 0.2], left[1, 0.2]) > 0.85  # the same number 0.2 means far less in another norm
    assert accuracy(model, pgd(models["other"], x, y, EPS, bounds=BOX), y) > 0.1 + accuracy(
        model, pgd(model, x, y, EPS, bounds=BOX), y
    )


@pytest.mark.parametrize("down, right", [(0, 0), (1, 0), (0, -1), (-2, 3)])
def test_a_shift_moves_pixels_and_fills_with_zero(down, right):
    images = np.random.default_rng(7).uniform(1, 2, (3, 5, 5))
    expected = np.zeros_like(images)
    for i, j in itertools.product(range(5), repeat=2):
        if 0 <= i + down < 5 and 0 <= j + right < 5:
            expected[:, i + down, j + right] = images[:, i, j]
    np.testing.assert_array_equal(shift_images(frozen(images.reshape(3, 25)), down, right), expected.reshape(3, 25))


def test_a_rotation_turns_counter_clockwise():
    images = np.random.default_rng(8).uniform(0, 1, (3, 8, 8))
    x = frozen(images.reshape(3, 64))
    for degrees, turns in ((90, 1), (-90, -1), (180, 2), (0, 0)):
        np.testing.assert_allclose(rotate_images(x, degrees), np.rot90(images, turns, (1, 2)).reshape(3, 64), atol=1e-9)
    turned = rotate_images(x, 30)
    assert turned.min() >= 0 and turned.max() <= images.max()
    assert turned.reshape(3, 8, 8)[:, 0, 0].max() == 0  # what comes in from outside is empty


def test_the_worst_case_prefers_a_wrong_label_to_a_high_loss():
    class Two:
        def predict(self, x):
            return x[:, 0].astype(int)

        def loss(self, x, y):
            return x[:, 1]

    x = np.array([[0.0, 1.0], [0.0, 1.0], [1.0, 9.0]])
    candidates = [[[0.0, 5.0], [0.0, 5.0], [0.0, 99.0]], [[1.0, 2.0], [0.0, 3.0], [1.0, 10.0]]]
    candidates += [[[0.0, 99.0], [0.0, 4.0], [0.0, 99.0]]]
    np.testing.assert_array_equal(worst_case(Two(), x, [0, 0, 0], candidates), [[1, 2], [0, 5], [1, 10]])
    np.testing.assert_array_equal(worst_case(Two(), x, [0, 0, 0], []), x)


# What adversarial training costs.


def passes(attack):
    """Forward and backward passes a minibatch of a training under this attack."""
    rng = np.random.default_rng(9)
    x, y = rng.standard_normal((40, 4)), rng.integers(0, 3, 40)
    model = PassCounter(MLP([4, 5, 3], np.random.default_rng(0)))
    train(model, x, y, epochs=2, batch_size=10, lr=1e-3, rng=np.random.default_rng(1), attack=attack)
    return np.array([model.forward, model.backward]) / 8  # 2 epochs of 4 minibatches


@pytest.mark.claim("X07", "refutes")
def test_one_inner_step_doubles_the_cost_where_it_should_multiply_it_by_one():
    assert passes(lambda *batch: fgsm(*batch, 0.1))[1] / passes(None)[1] == 2


@pytest.mark.claim("C55", "supports")
@pytest.mark.claim("X07", "supports")
@pytest.mark.parametrize("steps", [1, 3, 7])
def test_k_steps_cost_k_plus_1_backward_passes_a_minibatch(steps):
    assert passes(None).tolist() == [1, 1]
    assert passes(lambda *batch: fgsm(*batch, 0.1)).tolist() == [2, 2]
    # PGD keeps its best point, which asks for two losses more: forward passes without a backward one.
    assert passes(lambda *batch: pgd(*batch, 0.1, steps=steps)).tolist() == [steps + 3, steps + 1]


def test_a_counted_model_answers_as_the_model_does():
    rng = np.random.default_rng(10)
    model, x, y = MLP([4, 5, 3], rng), rng.standard_normal((6, 4)), rng.integers(0, 3, 6)
    counted = PassCounter(model)
    for name, arguments in (("logits", (x,)), ("predict", (x,)), ("loss", (x, y))):
        np.testing.assert_array_equal(getattr(counted, name)(*arguments), getattr(model, name)(*arguments))
    assert (counted.forward, counted.backward) == (3, 0)
    for name in ("loss_and_input_grad", "loss_and_param_grad"):
        for ours, theirs in zip(getattr(counted, name)(x, y), getattr(model, name)(x, y)):
            np.testing.assert_array_equal(ours, theirs)
    assert (counted.forward, counted.backward) == (5, 2)
    np.testing.assert_array_equal(counted.with_params(2 * model.params).params, 2 * model.params)


# One step fools itself.


def one_step_and_cures(seeds, eps, count=4):
    """Mean accuracy under FGSM and under PGD on digits, for a network trained in each of the first ``count`` ways."""
    x, y, x_test, y_test = digits()
    rows = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        ways = [
            lambda *batch: fgsm(*batch, eps),
            lambda *batch: pgd(*batch, eps, steps=1, step_size=eps, rng=rng),
            lambda *batch: fgsm(*batch, 0.75 * eps),
            lambda *batch: pgd(*batch, eps, steps=3, rng=rng),
        ]
        for way in ways[:count]:
            start = MLP([64, 64, 10], np.random.default_rng(seed))
            model = train(start, x, y, epochs=10, batch_size=32, lr=5e-3, rng=np.random.default_rng(seed), attack=way)
            attacked = fgsm(model, x_test, y_test, eps), pgd(model, x_test, y_test, eps, steps=20)
            rows.append([accuracy(model, z, y_test) for z in attacked])
    return np.array(rows).reshape(len(seeds), count, 2).mean(axis=0)


@pytest.fixture(scope="module")
def overfitted():
    return one_step_and_cures((2, 3, 4), 0.22)


@pytest.mark.claim("C47", "supports")
def test_one_step_training_overfits_to_its_step(overfitted):
    one_step, _, _, few_steps = overfitted
    assert one_step[0] > 0.45 and one_step[1] < 0.12 < few_steps[1]


@pytest.mark.claim("C58", "supports")
def test_each_cure_raises_the_accuracy_that_many_steps_leave(overfitted):
    one_step, *cures = overfitted
    for cure in cures:
        assert cure[1] > one_step[1] + 0.05


@pytest.mark.claim("C58", "limits")
def test_a_random_start_and_a_capped_step_leave_a_gap_that_pgd_steps_close(overfitted):
    _, random_start, capped, few_steps = overfitted
    assert few_steps[1] > max(random_start[1], capped[1]) + 0.05
    assert few_steps[0] - few_steps[1] < 0.07 < random_start[0] - random_start[1]


@pytest.mark.claim("C47", "limits")
def test_at_a_small_budget_one_step_is_good_enough():
    (single, several), = one_step_and_cures((2,), 0.1, count=1)
    assert single > 0.6 and single - several < 0.1


# Bad input.

MODEL = LogisticRegression([1.0, 2.0], 0.5)
POSITIVE = NOT_A_BUDGET | {"zero": 0.0}
OUTSIDE = {"outside": np.array([[0.0, 1.5], [0.5, 0.5]])}
NOT_FOR_MODEL = NOT_INPUTS | {"another width": np.ones((2, 3))}
OPTIONAL_GENERATOR = {what: bad for what, bad in NOT_A_GENERATOR.items() if bad is not None}
BATCH = {"model": MODEL, "x": np.eye(2), "y": np.array([0, 1])}
REPORT = BATCH | {"eps": 0.1, "p": 2, "bounds": (0.0, 1.0)}
SEARCH = BATCH | {"eps": 0.1, "queries": 3, "bounds": (0.0, 1.0)}
NOT_SQUARE = NOT_INPUTS | {"not square": np.ones((2, 8))}
NOT_CANDIDATES = {"wider": [np.ones((2, 3))], "nan": [[[0, math.nan]] * 2]}
NOT_A_SHIFT = {what: bad for what, bad in NOT_A_COUNT.items() if what != "negative"} | {"side": 3, "minus side": -3}


@pytest.mark.parametrize(
    "function, good, name, value",
    [
        *refusals(masking_report, REPORT, x=NOT_FOR_MODEL | OUTSIDE, y=NOT_BINARY_LABELS, eps=POSITIVE),
        *refusals(masking_report, REPORT, p=NOT_AN_EXPONENT, bounds={"one": (0.0,)}, rng=OPTIONAL_GENERATOR),
        *refusals(sign_search, SEARCH, x=NOT_FOR_MODEL | OUTSIDE, y=NOT_BINARY_LABELS, eps=NOT_A_BUDGET),
        *refusals(sign_search, SEARCH, queries=NOT_A_POSITIVE_COUNT, bounds={"one": (0.0,)}, rng=OPTIONAL_GENERATOR),
        *refusals(worst_case, BATCH | {"candidates": []}, x=NOT_FOR_MODEL, y=NOT_LABELS),
        *refusals(worst_case, BATCH | {"candidates": []}, candidates=NOT_CANDIDATES),
        *refusals(Rounded, {"model": MODEL, "step": 0.1, "steepness": 3.0}, step=POSITIVE, steepness=POSITIVE),
        *refusals(Rounded(MODEL, 0.1).logits, {"x": np.eye(2)}, x=NOT_FOR_MODEL),
        *refusals(shift_images, {"x": np.ones((2, 9)), "down": 1, "right": -1}, x=NOT_SQUARE),
        *refusals(shift_images, {"x": np.ones((2, 9)), "down": 1, "right": -1}, down=NOT_A_SHIFT, right=NOT_A_SHIFT),
        *refusals(rotate_images, {"x": np.ones((2, 9)), "degrees": 5}, x=NOT_SQUARE, degrees=NOT_A_NUMBER),
    ],
)
def test_bad_input_is_refused_by_name(function, good, name, value):
    assert_refused(function, good, name, value)
