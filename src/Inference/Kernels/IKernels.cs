using Eigengate.Inference.Adapters;
using Eigengate.Inference.KvCache;
using Eigengate.Inference.Scheduling;
using static TorchSharp.torch;

namespace Eigengate.Inference.Kernels;

/// <summary>
/// The operations of the forward pass over the rows of one step. Three implementations compute the same: torch
/// operations on any device, fused loops over CPU memory, and CUDA kernels. Results go into preallocated activations.
/// </summary>
internal interface IKernels : IDisposable
{
    /// <summary>Called once before the operations of a step. Rows are [0, step.Rows) unless said otherwise.</summary>
    void BeginStep(StepInput step);

    /// <summary>Runs all layers of the step once; the action makes the calls, which a back end may record and repeat for a like step.</summary>
    /// <param name="cores">What the layers' deltas read.</param>
    /// <param name="layers">Depends on nothing but the step.</param>
    void Run(CoreSlab? cores, Action layers);

    /// <summary>hidden[row] = table[token id of row]</summary>
    void Embed(Matrix table, Activation hidden);

    /// <summary>y = x / sqrt(mean(x²) + ε) · weight, for the first rows.</summary>
    void RmsNorm(Activation x, Tensor weight, float epsilon, Activation y, int rows);

    /// <summary>y = x Wᵀ, or y += x Wᵀ, for the first rows.</summary>
    void Linear(Activation x, Matrix weight, Activation y, int rows, bool accumulate = false);

    /// <summary>y += bias on every row.</summary>
    /// <param name="bias">[y.Width], float32.</param>
    void AddBias(Tensor bias, Activation y);

    /// <summary>RmsNorm of each query and key head of qkv by itself, in place.</summary>
    /// <param name="query">[head dim], float32, for every query head; <paramref name="key"/> for every key head.</param>
    void NormalizeHeads(Activation qkv, Tensor query, Tensor key, float epsilon);

    /// <summary>Rotates queries and keys of qkv in place and writes keys and values to their KV slots.</summary>
    void RotateAndCache(Activation qkv, KvLayer cache);

    /// <summary>Causal attention of every row over its sequence's cached keys and values.</summary>
    /// <param name="window">Positions that a row attends to at most, itself included.</param>
    void Attend(Activation qkv, KvLayer cache, int window, Activation context);

    /// <summary>product = silu(gate) · up, where gateUp is [rows, gate | up].</summary>
    void SiluMultiply(Activation gateUp, Activation product);

    /// <summary>y[i] = x[rows[first + i]] for count rows.</summary>
    void Gather(Activation x, IReadOnlyList<int> rows, int first, int count, Activation y);

    /// <summary>Tells which cores the deltas after the next product will read; <paramref name="cores"/> is null when no row has any.</summary>
    void AnnounceDeltas(int layer, Site site, CoreSlab? cores);

    /// <summary>Called once for a new basis, on any thread, before a step reads it: a back end may rearrange it in place.</summary>
    void Arrange(SiteBasis basis)
    {
    }

    /// <summary>y += U Σ Vᵀ x on the segments' rows, each row with the Σ of its own adapter slot; segments without a basis at the site are left out.</summary>
    void AddDeltas(IReadOnlyList<ClusterSegment> segments, int layer, Site site, CoreSlab cores, Activation x, Activation y);

    /// <summary>y += s B A x on the segment's rows, with the factors that their adapter alone has there: some. Unless a back end is faster, torch operations.</summary>
    void AddPrivateDelta(PrivateSegment segment, int layer, Site site, Activation x, Activation y) =>
        TorchPrivateParts.AddDelta(segment, segment.Parts.At(layer, site)!, x, y);

    /// <summary>y += gain ⊙ source on the columns [column, column + gain.Length) of the segment's rows of y.</summary>
    /// <param name="sourceRow">Row of the source that belongs to the segment's first. The source may be y itself.</param>
    void AddScaled(PrivateSegment segment, PagedVector gain, Activation source, int sourceRow, Activation y, int column) =>
        TorchPrivateParts.AddScaled(segment, gain, source, sourceRow, y, column);

    /// <summary>y += bias on the columns [column, column + bias.Length) of the segment's rows.</summary>
    void AddBias(PrivateSegment segment, PagedVector bias, Activation y, int column) => TorchPrivateParts.AddBias(segment, bias, y, column);
}
