namespace Eigengate.Gateway.Front;

/// <summary>
/// Counts generation requests in flight and refuses those beyond the limit (§13). A caller may hold at most seven times as many
/// places as are free (dynamic thresholds, Choudhury and Hahne, 1998), so that no flood takes the last ones: 7/8 of all for one
/// flood, 7/15 each for two.
/// </summary>
internal sealed class Admission(GatewayOptions options)
{
    public const int HeldPerFree = 7;

    private readonly Lock _lock = new();
    private readonly Dictionary<string, int> _held = new(StringComparer.Ordinal);
    private int _inFlight;

    public int InFlight => Volatile.Read(ref _inFlight);

    /// <summary>Callers with a request in flight.</summary>
    public int Callers
    {
        get
        {
            lock (_lock)
                return _held.Count;
        }
    }

    /// <summary>True when the request may proceed; then <see cref="Leave"/> must follow.</summary>
    public bool TryEnter(string caller)
    {
        lock (_lock)
        {
            var held = _held.GetValueOrDefault(caller);
            if (held >= (long)HeldPerFree * (options.MaxInFlightRequests - _inFlight))
                return false;
            _held[caller] = held + 1;
            _inFlight++;
            return true;
        }
    }

    public void Leave(string caller)
    {
        lock (_lock)
        {
            _inFlight--;
            if (--_held[caller] == 0)
                _held.Remove(caller);
        }
    }
}
