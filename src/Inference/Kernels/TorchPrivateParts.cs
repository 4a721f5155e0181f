using Eigengate.Inference.Adapters;
using TorchSharp;
using static TorchSharp.torch;

namespace Eigengate.Inference.Kernels;

/// <summary>What adapters alone have, in plain torch operations on any device: pages are gathered, then used as matrices and vectors.</summary>
internal static class TorchPrivateParts
{
    public static void AddDelta(PrivateSegment segment, PrivateSite site, Activation x, Activation y)
    {
        using var scope = torch.NewDisposeScope();
        PagePool pool = segment.Parts.Pool;
        int pagesOfRow = pool.PagesOf(site.DIn);
        Tensor a = Gather(segment.Parts, site.FirstA, site.ShrinkWidth * pagesOfRow)
            .view(site.ShrinkWidth, (long)pagesOfRow * pool.Width).narrow(1, 0, site.DIn);
        Tensor shrunk = x.Slice(segment.Start, segment.Count, 0, site.DIn).matmul(a.t());
        foreach (PrivateModule module in site.Modules.Where(module => module.Rank > 0))
        {
            int pages = pool.PagesOf(module.DOut);
            Tensor b = Gather(segment.Parts, module.FirstB, pages * module.Rank)
                .view(pages, module.Rank, pool.Width).permute(1, 0, 2).reshape(module.Rank, (long)pages * pool.Width).narrow(1, 0, module.DOut);
            y.Slice(segment.Start, segment.Count, module.Column, module.DOut).addmm_(shrunk.narrow(1, module.ShrinkColumn, module.Rank), b);
        }
    }

    public static void AddScaled(PrivateSegment segment, PagedVector gain, Activation source, int sourceRow, Activation y, int column)
    {
        using var scope = torch.NewDisposeScope();
        Tensor target = y.Slice(segment.Start, segment.Count, column, gain.Length);
        Tensor scaled = source.Slice(sourceRow, segment.Count, column, gain.Length).to(ScalarType.Float32).mul(Gather(segment.Parts, gain));
        target.copy_(scaled.add_(target));
    }

    public static void AddBias(PrivateSegment segment, PagedVector bias, Activation y, int column)
    {
        using var scope = torch.NewDisposeScope();
        y.Slice(segment.Start, segment.Count, column, bias.Length).add_(Gather(segment.Parts, bias));
    }

    /// <summary>[pages, width]</summary>
    private static Tensor Gather(PrivateParts parts, int first, int pages) => parts.Pool.Pages.index_select(0, parts.Table.narrow(0, first, pages));

    private static Tensor Gather(PrivateParts parts, PagedVector vector) =>
        Gather(parts, vector.First, parts.Pool.PagesOf(vector.Length)).view(-1).narrow(0, 0, vector.Length);
}
