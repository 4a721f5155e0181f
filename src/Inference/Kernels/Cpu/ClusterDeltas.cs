using Eigengate.Inference.Adapters;

namespace Eigengate.Inference.Kernels.Cpu;

/// <summary>Rows of one cluster that one thread takes through U Σ Vᵀ.</summary>
/// <param name="Rows">In the whole segment, which decides by which product it is computed.</param>
internal readonly record struct DeltaPiece(SiteBasis Basis, int Start, int Count, int Rows);

/// <summary>
/// y += U Σ Vᵀ x for the rows of all clusters of a step, in one loop that the threads share: the products with the bases are the
/// base model's in small, only Σ differs by row.
/// </summary>
internal sealed class ClusterDeltas<T>(ComputePool pool, PanelProduct panels, int maxRows) : IDisposable
    where T : unmanaged, IElement<T>
{
    /// <summary>Pieces for each thread, so that one that is held up does not hold up the others.</summary>
    private const int PiecesPerThread = 4;

    /// <summary>Rows below which a piece would read its basis for too little.</summary>
    private const int LeastRows = 4;
    private readonly PanelDelta _panels = new(panels, pool.Threads);
    private readonly RowMajorDelta<T> _rowMajor = new(maxRows);
    private readonly List<DeltaPiece> _pieces = [];

    public void BeginStep(IReadOnlyList<ClusterSegment> segments)
    {
        int shrinkWidth = 0, coreWidth = 0;
        foreach (ClusterSegment segment in segments)
        {
            shrinkWidth = Math.Max(shrinkWidth, segment.Cluster.ShrinkWidth);
            coreWidth = Math.Max(coreWidth, segment.Cluster.CoreWidth);
        }

        _panels.EnsureRoom(shrinkWidth, coreWidth);
        _rowMajor.EnsureRoom(shrinkWidth, coreWidth);
    }

    /// <param name="segments">Those without a basis at the site are left out.</param>
    /// <param name="slots">[rows], adapter slot of each row.</param>
    public void Add(IReadOnlyList<ClusterSegment> segments, int layer, Site site, int[] slots, CoreSlab cores, Activation x, Activation y)
    {
        Cut(segments, layer, site);
        pool.For(_pieces.Count, (index, thread) =>
        {
            DeltaPiece piece = _pieces[index];
            if (piece.Basis.Shrink.InPanels)
                _panels.Add(piece, slots, cores, x, y, thread);
            else
                _rowMajor.Add(piece, slots, cores, x, y);
        });
    }

    public void Dispose()
    {
        _panels.Dispose();
        _rowMajor.Dispose();
    }

    private void Cut(IReadOnlyList<ClusterSegment> segments, int layer, Site site)
    {
        _pieces.Clear();
        int rows = 0;
        foreach (ClusterSegment segment in segments)
            rows += segment.Count;
        foreach (ClusterSegment segment in segments)
        {
            if (segment.Cluster.At(layer, site) is not { } basis)
                continue;
            int most = basis.Shrink.InPanels ? PanelRows(rows) : RowMajorRows(segment, basis);
            int parts = (segment.Count + most - 1) / most;
            for (int part = 0; part < parts; part++)
            {
                int start = (int)((long)segment.Count * part / parts), end = (int)((long)segment.Count * (part + 1) / parts);
                _pieces.Add(new DeltaPiece(basis, segment.Start + start, end - start, segment.Count));
            }
        }
    }

    /// <summary>Most rows of a piece: whole tiles, and no more than the first caches hold with what lies between the products.</summary>
    private int PanelRows(int rows)
    {
        int share = pool.Threads == 1 ? rows : rows / (PiecesPerThread * pool.Threads);
        return Math.Clamp((share + PanelCode.MaxRows - 1) / PanelCode.MaxRows * PanelCode.MaxRows, PanelCode.MaxRows, PanelDelta.MaxRows);
    }

    private int RowMajorRows(in ClusterSegment segment, SiteBasis basis)
    {
        int most = pool.Threads == 1 || !RowMajorDelta<T>.IsSmall(segment.Count, basis) ? pool.Threads : PiecesPerThread * pool.Threads;
        int parts = Math.Clamp(segment.Count / LeastRows, 1, most);
        return (segment.Count + parts - 1) / parts;
    }
}
