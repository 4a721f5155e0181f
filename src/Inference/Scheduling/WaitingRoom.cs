namespace Eigengate.Inference.Scheduling;

/// <summary>
/// Counts the sequences that have not started yet. A caller may hold at most seven times as many places as are free (dynamic
/// thresholds, Choudhury and Hahne, 1998), so that no flood takes the last ones: 7/8 of all for one flood, 7/15 each for two.
/// Thread-safe.
/// </summary>
internal sealed class WaitingRoom(int places)
{
    public const int HeldPerFree = 7;

    private readonly Lock _lock = new();
    private readonly Dictionary<string, int> _held = new(StringComparer.Ordinal);
    private int _taken;

    /// <summary>Callers with a sequence that has not started.</summary>
    public int Callers
    {
        get
        {
            lock (_lock)
                return _held.Count;
        }
    }

    /// <summary>Places that a lone caller can hold.</summary>
    public static int MostOf(int places) => (int)(((long)HeldPerFree * places) + HeldPerFree) / (HeldPerFree + 1);

    /// <exception cref="EngineOverloadedException">No place is left, or none for this caller.</exception>
    public void Enter(string caller)
    {
        lock (_lock)
        {
            int held = _held.GetValueOrDefault(caller);
            if (held >= (long)HeldPerFree * (places - _taken))
                throw new EngineOverloadedException($"{_taken} of at most {places} sequences are already waiting, {held} of them the same caller's");
            _held[caller] = held + 1;
            _taken++;
        }
    }

    public void Leave(string caller)
    {
        lock (_lock)
        {
            _taken--;
            if (--_held[caller] == 0)
                _held.Remove(caller);
        }
    }
}
