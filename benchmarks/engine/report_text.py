"""The parts of the report that stay the same: what the engine does."""

METHOD = """
## What is computed

An unbinned measurement is a sum over N events,

    -2 log L(c) = 2 [ν(c) - ν(0)] - 2 Σ_e w_e log r_e(c),     r_e(c) = x^T G_e x,     x = (1, c),

and a fit needs it, its gradient and its Hessian at thousands of points. The sum is exact: no event is left
out, and nothing is interpolated.

**Blocks.** Events are taken in blocks whose numbers stay in the cache. In a block the ratios at all points
of a batch are one matrix product, R (B, P) times the monomials of the points (P, S); what follows, the
logarithm, the sum, the weights of the derivatives, meets the ratios while they are still there. One point
at a time takes as long as R takes to be read; that is why a batch costs so much less per point.

**Logarithms of products.** With equal weights Σ log r = log Π r, so the product of 28 ratios is formed
before one logarithm is taken. A ratio is above 10^-10, or counted and treated apart, so that 28 of them do
not underflow, and where they overflow the block is summed again term by term. With unequal weights every
ratio has its own logarithm.

**Derivatives** need no gradient per event. With u_e = w_e / r_e the gradient is 2 (Σ_e u_e G_e) x, and Σ_e
u_e G_e is the transposed product of the same block with u: gradients cost one more product, whatever n is.
The Hessian is 2 Σ u_e G_e - Σ w_e (∂r_e/r_e) (∂r_e/r_e)^T, whose second part is the product of n rows of
slopes with themselves. The Hessian times a vector takes two more products, and no matrix.

**Single precision** halves what is read. A row in single precision times monomials rounded to single
precision would be off in the same direction for all events; so the monomials are split into two numbers of
single precision each, upper and lower half, and sums are in double precision throughout. What remains is
the rounding of each stored coefficient, which is independent from event to event and averages out.

**Low rank.** Ratios that are sums of R squares, r = Σ_k (F_k x)^2, are kept as factors, R (n + 1) numbers
per event where the packed form has (n + 1)(n + 2)/2. Amplitudes a_k = F_k x are one product, the gradient 2
Σ_e u_e Σ_k a_k F_k another.

**Mapped files.** `UnbinnedDataset.load` leaves the numbers in the file. Blocks are read through the map,
and those of large files are given back to the system after their use, so that a file larger than memory
will do.

**Threads.** Blocks are dealt out to OMP_NUM_THREADS threads in turn, where there is enough to do; results
are added in an order that does not depend on which is first.
"""

TIMING = """
Contenders take turns, each in calls of a few milliseconds after one that does not count; given is the
median of the wall-clock time per point, in milliseconds, and in the goals also the ratio of processor
times, which other programs on the machine disturb less. *numpy* is the line `-2*np.log(1 + R @ v).sum()` in
double precision with R (N, P - 1) and v ready, one point per call; *jax* the same line compiled; "batch"
the same line with all 64 points as columns of v. The time of this package is that of `dataset.m2logl`,
expected yield and handling of arguments included. All agree to 10^-10. Events are drawn, as r = Σ_k (F_k
x)^2 with three squares.
"""

PRECISION = """
One point, ratios stored in single precision. "Near" is the largest change of -2 log L at 64 points within
three standard deviations, "far" that at points as far away as the last column says.
"""

PEERS = """
Both programs run in environments of their own on the same 100,000 simulated pp → ZH events, in turns with
this package.


- **ML4EFT**: one call of `Optimize.log_like_nn`, the function that its nested sampling calls. As in its fit
  the networks were evaluated beforehand, so a call combines five arrays of N numbers, takes the logarithm
  and the sum, and adds the yield. It agrees with this package to 10^-9 when given the same ratios.
- **MadMiner**: one call of `ParameterizedRatioEstimator.evaluate_log_likelihood_ratio` at one point, with
  its default network of one layer of 100. Its networks are functions of x and c, so every call runs the
  network at all events, and what it computes is not the same function; at several points it runs once for
  each.

Neither evaluates a batch at once: the batches of this package are held against their time per point.
"""

LARGE = """
Each form in a process of its own. Memory is the peak of what was resident less that of the interpreter and
libraries; "stored" are the numbers of the ratios.
"""

MAPPED = """
Saved by the package from an array that was itself on disk, and evaluated in a fresh process, whose whole
peak is given. Reading is `preadv` of the file into one buffer of 8 MB, with the file in the page cache, and
"cold", after asking the system to drop it; a disk with a cache of its own may still answer from there.
Reading copies what a map shows in place, so that an evaluation can be faster than reading. Loading verifies
the checksum of every number.
"""

SCALING = """
Ratios drawn as above; single points and batches of 64, one process. Time per point is proportional to the
number of events once a point takes longer than the handling of arguments, and to the number of stored
numbers per event. What bends the curves are the caches: below some 30 MB of ratios a single point reads
from the last cache and not from memory.
"""
