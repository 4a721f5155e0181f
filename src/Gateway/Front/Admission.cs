namespace Eigengate.Gateway.Front;

/// <summary>Counts generation requests in flight and refuses those beyond the limit (§13).</summary>
internal sealed class Admission(GatewayOptions options)
{
    private int _inFlight;

    public int InFlight => Volatile.Read(ref _inFlight);

    /// <summary>True when the request may proceed; then <see cref="Leave"/> must follow.</summary>
    public bool TryEnter()
    {
        if (Interlocked.Increment(ref _inFlight) <= options.MaxInFlightRequests)
            return true;
        Leave();
        return false;
    }

    public void Leave() => Interlocked.Decrement(ref _inFlight);
}
