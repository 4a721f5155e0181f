using System.Runtime.Intrinsics.X86;
using Eigengate.Inference.Adapters;
using Eigengate.Inference.Scheduling;

namespace Eigengate.Inference.Kernels.Cpu;

/// <summary>
/// Brings the bases and cores that a site will read into the second-level cache while the base model's product of the same site
/// runs. Distinct adapters' cores are scattered and read once a step: without this every row waits for memory.
/// </summary>
internal sealed unsafe class CorePrefetch
{
    private const int LineBytes = 64;

    /// <summary>Half a megabyte: more would push each other out of the second-level cache before they are read.</summary>
    private const int MostLines = 8192;
    public const int MostBytes = MostLines * LineBytes;
    private readonly List<(nint Address, int Lines)> _planned = [];
    private int _at;
    private int _line;
    private int _linesLeft;

    /// <summary>Plans the bases and cores of one site, in the order in which rows read them; what was planned before is forgotten.</summary>
    public void Plan(StepInput step, int layer, Site site, CoreSlab? cores, int elementBytes)
    {
        _planned.Clear();
        _at = _line = _linesLeft = 0;
        foreach (ClusterSegment segment in step.Segments)
        {
            if (segment.Cluster.At(layer, site) is not { } basis)
                continue;
            Add((nint)basis.Shrink.Address, LinesOf(basis.Shrink, elementBytes));
            foreach (ModuleBasis module in basis.Modules)
                Add((nint)module.Expand.Address, LinesOf(module.Expand, elementBytes));
            int previous = -1;
            for (int row = segment.Start; row < segment.Start + segment.Count; row++)
            {
                int slot = step.AdapterSlot[row];
                if (slot == previous)
                    continue;
                previous = slot;
                Add((nint)cores!.Address(slot, basis.CoreOffset), ((basis.CoreLength * cores.ElementBytes) + LineBytes - 1) / LineBytes);
            }
        }

        PlanPages(step, layer, site);
    }

    /// <summary>Brings one core into the first-level cache, for the row after the one that is computed.</summary>
    public static void Near(byte* core, int bytes)
    {
        if (!Sse.IsSupported)
            return;
        for (int i = 0; i < bytes; i += LineBytes)
            Sse.Prefetch0(core + i);
    }

    /// <summary>Brings one core into the second-level cache, for a row of the same piece of work.</summary>
    public static void Ahead(byte* core, int bytes)
    {
        if (!Sse.IsSupported)
            return;
        for (int i = 0; i < bytes; i += LineBytes)
            Sse.Prefetch1(core + i);
    }

    /// <summary>Fetches an equal share of what is left: one when <paramref name="sharesLeft"/> calls remain, this one included.</summary>
    public void FetchShare(int sharesLeft)
    {
        if (!Sse.IsSupported || _linesLeft == 0)
            return;
        int lines = _linesLeft / sharesLeft;
        _linesLeft -= lines;
        while (lines > 0)
        {
            var (address, count) = _planned[_at];
            int end = Math.Min(count, _line + lines);
            lines -= end - _line;
            for (; _line < end; _line++)
                Sse.Prefetch1((byte*)address + ((nint)_line * LineBytes));
            if (_line == count)
            {
                _at++;
                _line = 0;
            }
        }
    }

    /// <summary>The A of the first adapters that have private factors here; each brings what follows itself.</summary>
    private void PlanPages(StepInput step, int layer, Site site)
    {
        foreach (PrivateSegment segment in step.PrivateSegments)
        {
            if (_linesLeft >= MostLines || segment.Parts.At(layer, site) is not { ShrinkWidth: > 0 } parts)
                continue;
            PagePool pool = segment.Parts.Pool;
            int end = parts.FirstA + (parts.ShrinkWidth * pool.PagesOf(parts.DIn));
            for (int page = parts.FirstA; page < end; page++)
                Add((nint)pool.Address + (nint)((long)segment.Parts.Pages[page] * pool.PageBytes), pool.PageBytes / LineBytes);
        }
    }

    private static int LinesOf(Matrix matrix, int elementBytes) => (int)((((long)matrix.In * matrix.Out * elementBytes) + LineBytes - 1) / LineBytes);

    private void Add(nint address, int lines)
    {
        lines = Math.Min(lines, MostLines - _linesLeft);
        if (lines == 0)
            return;
        _planned.Add((address, lines));
        _linesLeft += lines;
    }
}
