using TorchSharp;
using static TorchSharp.torch;

namespace Eigengate.Bench.Compression;

/// <summary>Sums and multiples that keep torch's scalar alive during the call; TorchSharp's operators do not.</summary>
internal static class KeptAlive
{
    internal static Tensor Plus(this Tensor a, double factor, Tensor b)
    {
        Scalar scalar = factor;
        Tensor sum = a.add(b, scalar);
        GC.KeepAlive(scalar);
        return sum;
    }
}
