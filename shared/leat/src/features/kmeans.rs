//! The k means of numbers: scikit-learn's `KMeans` in one dimension, from evenly spaced centres.

/// As scikit-learn: so many rounds at most, and none once the centres move by no more than this share of the variance.
const ROUNDS: usize = 300;
const TOLERANCE: f64 = 1e-4;

/// The centres, rising, of `values`, which rise and come with how often each is there; at most `count` of them.
pub(super) fn centres(values: &[(f64, u64)], count: usize) -> Vec<f64> {
    let (Some((min, _)), Some((max, _))) = (values.first(), values.last()) else {
        return Vec::new();
    };
    let weight = values.iter().map(|(_, n)| *n as f64).sum::<f64>();
    let mean = values.iter().map(|(x, n)| x * *n as f64).sum::<f64>() / weight;
    let square = |x: f64| (x - mean) * (x - mean);
    let variance = values.iter().map(|(x, n)| square(*x) * *n as f64).sum::<f64>() / weight;
    let step = (max - min) / count as f64;
    let edge = |i: usize| if i == count { *max } else { min + i as f64 * step };
    let mut centres: Vec<f64> = (0..count).map(|i| 0.5 * (edge(i) + edge(i + 1))).collect();
    let mut before = Vec::new();
    for _ in 0..ROUNDS {
        let ends = ends(values, &centres);
        let next = means(values, &centres, &ends);
        let moved = centres.iter().zip(&next).map(|(a, b)| (a - b) * (a - b)).sum::<f64>();
        centres = next;
        if ends == before || moved <= TOLERANCE * variance {
            break;
        }
        before = ends;
    }
    centres
}

/// Where the values of each centre end: values are nearest to the one before an end, or as near as to the next.
fn ends(values: &[(f64, u64)], centres: &[f64]) -> Vec<usize> {
    let mut ends: Vec<usize> = centres
        .windows(2)
        .map(|pair| values.partition_point(|(x, _)| x - pair[0] <= pair[1] - x))
        .collect();
    ends.push(values.len());
    ends
}

/// The mean of each centre's values. One without values takes the value that is farthest from its own centre, one time,
/// the least of those equally far.
fn means(values: &[(f64, u64)], centres: &[f64], ends: &[usize]) -> Vec<f64> {
    let mut start = 0;
    let mut sums: Vec<(f64, f64)> = Vec::new();
    for &end in ends {
        let own = &values[start.min(end)..end];
        let sum = own.iter().map(|(x, n)| x * *n as f64).sum::<f64>();
        sums.push((sum, own.iter().map(|(_, n)| *n as f64).sum()));
        start = start.max(end);
    }
    let empty: Vec<usize> = (0..sums.len()).filter(|&i| sums[i].1 == 0.0).collect();
    for (centre, (x, owner)) in empty.iter().zip(farthest(values, centres, ends, empty.len())) {
        sums[owner].0 -= x;
        sums[owner].1 -= 1.0;
        sums[*centre] = (x, 1.0);
    }
    let heaviest = sums.iter().copied().fold((0.0, 0.0), |a, b| if b.1 > a.1 { b } else { a });
    let mean = |&(sum, weight): &(f64, f64)| {
        if weight > 0.0 { sum / weight } else { heaviest.0 / heaviest.1 }
    };
    let mut means: Vec<f64> = sums.iter().map(mean).collect();
    means.sort_by(f64::total_cmp);
    means
}

/// The `count` values farthest from the centre that each belongs to, and that centre; nothing if all lie on theirs.
fn farthest(
    values: &[(f64, u64)],
    centres: &[f64],
    ends: &[usize],
    count: usize,
) -> Vec<(f64, usize)> {
    if count == 0 {
        return Vec::new();
    }
    let mut owner = 0;
    let mut far: Vec<(f64, f64, usize, u64)> = Vec::new();
    for (at, &(x, n)) in values.iter().enumerate() {
        while ends[owner] <= at {
            owner += 1;
        }
        far.push(((x - centres[owner]).abs(), x, owner, n));
    }
    far.sort_by(|a, b| b.0.total_cmp(&a.0)); // stable: equals rise by value
    if far.first().is_none_or(|(distance, ..)| *distance == 0.0) {
        return Vec::new();
    }
    let times = far.iter().flat_map(|&(_, x, owner, n)| {
        std::iter::repeat_n((x, owner), usize::try_from(n).unwrap_or(count).min(count))
    });
    times.take(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_apart() {
        let values = [(0.0, 1), (1.0, 3), (10.0, 1), (11.0, 1), (30.0, 2)];
        assert_eq!(centres(&values, 3), [0.75, 10.5, 30.0]);
        assert_eq!(centres(&values, 1), [54.0 / 8.0 + 30.0 / 8.0]);
        assert!(centres(&[], 3).is_empty());
    }

    #[test]
    fn a_centre_without_values_takes_the_farthest() {
        // Even spacing puts no value near the second of three centres; 0 and 90 are equally far from theirs.
        let found = centres(&[(0.0, 1), (1.0, 1), (2.0, 1), (90.0, 1)], 3);
        assert_eq!(found, [0.0, 1.5, 90.0]);
        // As many centres as values, and more.
        assert_eq!(centres(&[(0.0, 5), (1.0, 5)], 2), [0.0, 1.0]);
        assert_eq!(centres(&[(2.0, 5)], 2), [2.0, 2.0]);
    }
}
