namespace Eigengate.Inference.Sampling.Constraints;

/// <summary>
/// A deterministic state of a grammar: the nodes that wait for a byte, each with what remains to be done after its rule.
/// Equal states are the same object while they are remembered.
/// </summary>
internal sealed class PushdownState : IEquatable<PushdownState>
{
    public static readonly PushdownState Dead = new([], accepts: false);

    private readonly int _hash;
    private PushdownState?[]? _next;
    private ulong[]? _mask;

    public PushdownState(Position[] positions, bool accepts)
    {
        Positions = positions;
        Accepts = accepts;
        var hash = new HashCode();
        hash.Add(accepts);
        foreach (var position in positions)
            hash.Add(position);
        _hash = hash.ToHashCode();
    }

    public Position[] Positions { get; }

    /// <summary>Whether the text so far belongs to the language.</summary>
    public bool Accepts { get; }

    /// <summary>One bit for each token that may come next; null where not yet known.</summary>
    public ulong[]? Mask
    {
        get => Volatile.Read(ref _mask);
        set => Volatile.Write(ref _mask, value);
    }

    /// <summary>The last mask whose search came by here. For the one thread that searches.</summary>
    public int LastSearch { get; set; }

    /// <summary>The state after a byte of a class; null where not yet known.</summary>
    public PushdownState? Next(byte byteClass) => Volatile.Read(ref _next) is { } next ? Volatile.Read(ref next[byteClass]) : null;

    public void SetNext(byte byteClass, PushdownState next, int classes)
    {
        if (_next is null)
            Volatile.Write(ref _next, new PushdownState?[classes]);
        Volatile.Write(ref _next[byteClass], next);
    }

    /// <summary>Lets go of other states and of the mask; all can be found again.</summary>
    public void Forget()
    {
        Volatile.Write(ref _next, null);
        Mask = null;
    }

    public bool Equals(PushdownState? other) => other is not null && Accepts == other.Accepts && Positions.AsSpan().SequenceEqual(other.Positions);

    public override bool Equals(object? obj) => Equals(obj as PushdownState);

    public override int GetHashCode() => _hash;

    /// <param name="Node">A node of the grammar.</param>
    /// <param name="Frame">The rule it is in, as called; null in the first rule.</param>
    public readonly record struct Position(int Node, Frame? Frame);

    /// <summary>
    /// A running rule: everywhere it may go on after its end. Calls of one rule at one place of the text share a frame, so
    /// ambiguous grammars have as many frames as the text has places, not as it has readings.
    /// </summary>
    public sealed class Frame(int depth)
    {
        public int Depth { get; } = depth;

        /// <summary>Orders frames; set when <see cref="Callers"/> are complete.</summary>
        public int Id { get; set; } = -1;

        public List<Position> Callers { get; private set; } = [];

        /// <summary>Completes the callers, in an order of their own.</summary>
        public void Freeze(IEnumerable<Position> callers) =>
            Callers = [.. callers.Distinct().OrderBy(c => c.Node).ThenBy(c => c.Frame?.Id ?? -1)];
    }

    /// <summary>Frames by content.</summary>
    public sealed class FrameComparer : IEqualityComparer<Frame>
    {
        public bool Equals(Frame? a, Frame? b) => a!.Depth == b!.Depth && a.Callers.SequenceEqual(b.Callers);

        public int GetHashCode(Frame frame)
        {
            var hash = new HashCode();
            hash.Add(frame.Depth);
            foreach (var caller in frame.Callers)
                hash.Add(caller);
            return hash.ToHashCode();
        }
    }
}
