using static Eigengate.Inference.Sampling.Constraints.Grammar;
using Frame = Eigengate.Inference.Sampling.Constraints.PushdownState.Frame;
using Position = Eigengate.Inference.Sampling.Constraints.PushdownState.Position;

namespace Eigengate.Inference.Sampling.Constraints;

/// <summary>
/// The deterministic states of a grammar, found on demand by subset construction over nodes and frames (a graph-structured
/// stack). Safe for concurrent use: known transitions are read without a lock, and finding one holds it for microseconds.
/// </summary>
internal sealed class PushdownAutomaton
{
    /// <summary>Of a very ambiguous grammar only so many ways to read a text are followed; any of them keeps the text within it.</summary>
    private const int MaxPositions = 4_096;

    private readonly Lock _lock = new();
    private readonly Grammar _grammar;
    private readonly Node[] _nodes;
    private readonly long _maxBytes;
    private readonly HashSet<PushdownState> _states = [];
    private readonly HashSet<Frame> _frames = new(new PushdownState.FrameComparer());
    private readonly HashSet<Position> _seen = [];
    private readonly Stack<Position> _open = [];
    private readonly Dictionary<(int Entry, int Depth), Frame> _opened = [];
    private int _nextFrame;
    private long _bytes;

    /// <param name="grammar">Its language.</param>
    /// <param name="maxBytes">Memory for states and masks; beyond it all are forgotten and found again when needed.</param>
    public PushdownAutomaton(Grammar grammar, long maxBytes)
    {
        _grammar = grammar;
        _nodes = grammar.Nodes;
        _maxBytes = maxBytes;
        Start = Close([new Position(grammar.Start, null)]);
    }

    public PushdownState Start { get; }

    /// <summary>The state after one more byte; null when no text of the language continues so.</summary>
    public PushdownState? Next(PushdownState state, byte value)
    {
        var byteClass = _grammar.Classes.Of(value);
        var next = state.Next(byteClass) ?? Find(state, byteClass);
        return next == PushdownState.Dead ? null : next;
    }

    /// <summary>Keeps a mask with its state, within the bound of memory.</summary>
    public void Keep(PushdownState state, ulong[] mask)
    {
        lock (_lock)
        {
            Count(mask.Length * sizeof(ulong));
            state.Mask = mask;
        }
    }

    private PushdownState Find(PushdownState state, byte byteClass)
    {
        lock (_lock)
        {
            if (state.Next(byteClass) is { } known)
                return known;
            var value = _grammar.Classes.First(byteClass);
            var moved = new List<Position>();
            foreach (var (node, frame) in state.Positions)
            {
                var step = _nodes[node];
                if (value >= step.Low && value <= step.High)
                    moved.Add(new Position(step.A, frame));
            }

            var next = moved.Count == 0 ? PushdownState.Dead : Close(moved);
            state.SetNext(byteClass, next, _grammar.Classes.Count);
            return next;
        }
    }

    /// <summary>Follows everything that takes no byte.</summary>
    private PushdownState Close(List<Position> from)
    {
        _seen.Clear();
        _open.Clear();
        _opened.Clear();
        foreach (var (node, frame) in from)
            Visit(node, frame);
        var waiting = new List<Position>();
        var accepts = false;
        while (_open.TryPop(out var at))
        {
            if (_seen.Count > MaxPositions && (accepts || waiting.Count > 0))
                break;
            var node = _nodes[at.Node];
            switch (node.Step)
            {
                case Step.Byte:
                    waiting.Add(at);
                    break;
                case Step.Split:
                    Visit(node.A, at.Frame);
                    Visit(node.B, at.Frame);
                    break;
                case Step.Call:
                    Call(node, at.Frame);
                    break;
                case Step.Return when at.Frame is null:
                    accepts = true;
                    break;
                // A rule that began here and is through already: its callers have gone on, because it is nullable.
                case Step.Return when at.Frame.Id < 0:
                    break;
                case Step.Return:
                    foreach (var (next, frame) in at.Frame.Callers)
                        Visit(next, frame);
                    break;
            }
        }

        var frames = FreezeOpened();
        var positions = waiting.ConvertAll(p => p.Frame is { Id: < 0 } ? p with { Frame = frames[p.Frame] } : p);
        positions.Sort((a, b) => a.Node != b.Node ? a.Node.CompareTo(b.Node) : (a.Frame?.Id ?? -1).CompareTo(b.Frame?.Id ?? -1));
        return Remember(new PushdownState([.. positions], accepts));
    }

    private void Visit(int node, Frame? frame)
    {
        if ((frame?.Depth ?? 0) + _grammar.Facts.Depths[node] <= _grammar.MaxDepth && _seen.Add(new Position(node, frame)))
            _open.Push(new Position(node, frame));
    }

    private void Call(Node call, Frame? frame)
    {
        // Nothing remains to be done after a call at the end of a rule.
        if (!call.Nests && _nodes[call.B].Step == Step.Return)
        {
            Visit(call.A, frame);
            return;
        }

        var depth = (frame?.Depth ?? 0) + (call.Nests ? 1 : 0);
        if (!_opened.TryGetValue((call.A, depth), out var opened))
            _opened[(call.A, depth)] = opened = new Frame(depth);
        opened.Callers.Add(new Position(call.B, frame));
        Visit(call.A, opened);
        if (_grammar.Facts.IsNullable[call.A])
            Visit(call.B, frame);
    }

    /// <summary>Replaces the frames of this step by remembered ones of the same content, callers first.</summary>
    private Dictionary<Frame, Frame> FreezeOpened()
    {
        var frozen = new Dictionary<Frame, Frame>(_opened.Count);
        foreach (var (_, opened) in _opened.OrderBy(o => _grammar.Facts.Ranks[o.Key.Entry]))
        {
            var frame = new Frame(opened.Depth);
            frame.Freeze(opened.Callers.Select(c => c.Frame is { Id: < 0 } ? c with { Frame = frozen[c.Frame] } : c));
            if (!_frames.TryGetValue(frame, out var known))
            {
                known = frame;
                known.Id = _nextFrame++;
                _frames.Add(known);
                Count(64 + known.Callers.Count * 16);
            }

            frozen[opened] = known;
        }

        return frozen;
    }

    private PushdownState Remember(PushdownState state)
    {
        if (_states.TryGetValue(state, out var known))
            return known;
        Count(128 + _grammar.Classes.Count * 8 + state.Positions.Length * 16);
        _states.Add(state);
        return state;
    }

    private void Count(int bytes)
    {
        _bytes += bytes;
        if (_bytes <= _maxBytes)
            return;
        // Whoever stands in one of these states goes on from it and finds the others again.
        foreach (var state in _states)
            state.Forget();
        Start?.Forget();
        _states.Clear();
        _frames.Clear();
        _bytes = bytes;
    }
}
